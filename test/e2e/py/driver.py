"""A device made of Python's websockets, told what to do line by line.

Reads one JSON object a line and prints one JSON object an event. Several
connections live at once, told apart by "conn". test/e2e/node/driver.js speaks
the same, so that every scenario runs with both libraries.

  {"do":"connect","conn":1,"url":"ws://...","protocols":[],"headers":{},"compression":false}
  {"do":"text","conn":1,"data":"..."}        {"do":"binary","conn":1,"data":"base64"}
  {"do":"ping","conn":1,"data":"..."}        {"do":"close","conn":1,"code":1000,"reason":""}

  {"event":"open","conn":1,"protocol":"...","extensions":"..."}
  {"event":"refused","conn":1,"status":401,"headers":{}}
  {"event":"text","conn":1,"data":"..."}     {"event":"binary","conn":1,"data":"base64"}
  {"event":"pong","conn":1}                  {"event":"closed","conn":1,"code":1001,"reason":"..."}
"""
import asyncio
import base64
import json
import sys

import websockets
from websockets.exceptions import ConnectionClosed, InvalidStatusCode

conns = {}


def emit(**event):
    print(json.dumps(event), flush=True)


async def run(conn, order):
    """Holds one connection from its handshake to its close."""
    try:
        ws = await websockets.connect(
            order["url"],
            subprotocols=order.get("protocols") or None,
            extra_headers=order.get("headers") or {},
            compression="deflate" if order.get("compression") else None,
            max_size=None,
            ping_interval=None,
            open_timeout=60,
            close_timeout=60,
        )
    except InvalidStatusCode as e:
        emit(event="refused", conn=conn, status=e.status_code, headers={k.lower(): v for k, v in e.headers.items()})
        return
    except Exception as e:  # reported, and judged by the test
        emit(event="failed", conn=conn, error=f"{type(e).__name__}: {e}")
        return
    conns[conn] = ws
    emit(event="open", conn=conn, protocol=ws.subprotocol or "", extensions=",".join(x.name for x in ws.extensions))
    try:
        async for message in ws:
            if isinstance(message, bytes):
                emit(event="binary", conn=conn, data=base64.b64encode(message).decode())
            else:
                emit(event="text", conn=conn, data=message)
    except ConnectionClosed:
        pass
    emit(event="closed", conn=conn, code=ws.close_code, reason=ws.close_reason or "")


async def obey(order):
    conn, do = order["conn"], order["do"]
    if do == "connect":
        asyncio.ensure_future(run(conn, order))
        return
    ws = conns[conn]
    try:
        if do == "text":
            await ws.send(order["data"])
        elif do == "binary":
            await ws.send(base64.b64decode(order["data"]))
        elif do == "ping":
            pong = await ws.ping(order["data"])
            pong.add_done_callback(lambda f: None if f.cancelled() or f.exception() else emit(event="pong", conn=conn))
        elif do == "close":
            await ws.close(order.get("code", 1000), order.get("reason", ""))
    except ConnectionClosed:
        pass  # the close event tells


async def main():
    loop = asyncio.get_event_loop()
    reader = asyncio.StreamReader(limit=64 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        await obey(json.loads(line))


asyncio.run(main())

"""Clients made of Eclipse Paho, for test/e2e/mqttmatrix_test.go.

mqttmatrix.py CAFILE: orders come as lines of JSON, and what happens leaves as such, as in
test/e2e/node/mqttmatrix.js.
"""
import json
import os
import sys
import threading
import urllib.parse

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

clients, printing = {}, threading.Lock()


def emit(**event):
    with printing:
        print(json.dumps(event), flush=True)


def number(reason):
    return 0 if isinstance(reason, Exception) else getattr(reason, "value", reason)


def connect(o):
    url, name, up = urllib.parse.urlsplit(o["url"]), o["as"], threading.Event()
    version = o["version"]
    kept = {} if version == 5 else {"clean_session": not o.get("kept", False)}
    over = "websockets" if url.scheme in ("ws", "wss") else "tcp"
    client = clients[name] = mqtt.Client(o["id"], protocol=version, transport=over, **kept)

    def connected(_client, _userdata, flags, reason, _properties=None):
        if number(reason) != 0:
            emit(event="refused", **{"as": name}, code=number(reason))
            return
        up.set()
        emit(event="connected", **{"as": name}, present=bool(flags["session present"]))

    def disconnected(_client, _userdata, reason, _properties=None):
        if up.is_set():
            up.clear()
            emit(event="closed", **{"as": name}, code=number(reason))

    def received(_client, _userdata, m):
        emit(event="message", **{"as": name}, topic=m.topic, payload=m.payload.decode(), qos=m.qos, retain=bool(m.retain))

    client.on_connect, client.on_disconnect, client.on_message = connected, disconnected, received
    client.on_publish = lambda *_: emit(event="published", **{"as": name})
    client.on_subscribe = lambda _c, _u, _mid, codes, *_: emit(event="subscribed", **{"as": name}, code=number(codes[0]))
    client.username_pw_set(o.get("user", "any"), o["password"])
    if o.get("topic"):
        client.will_set(o["topic"], o["payload"], qos=1)
    if over == "websockets":
        client.ws_set_options(path=url.path)
    if url.scheme in ("wss", "mqtts"):
        client.tls_set(sys.argv[1])
    more = {}
    if version == 5:
        more["clean_start"] = not o.get("kept", False)
        more["properties"] = Properties(PacketTypes.CONNECT)
        more["properties"].SessionExpiryInterval = 600 if o.get("kept") else 0
    client.connect(url.hostname, url.port, keepalive=o["keepalive"], **more)

    def run():
        try:
            while client.loop() == mqtt.MQTT_ERR_SUCCESS:
                pass
        except (OSError, ValueError, AttributeError) as err:  # publish closed the socket meanwhile
            disconnected(client, None, err)

    threading.Thread(target=run, daemon=True).start()


def publish(o):
    payload = "0" * o["size"] if o.get("size") else o.get("payload", "")
    try:
        clients[o["as"]].publish(o["topic"], payload, qos=o.get("qos", 0), retain=o.get("retain", False))
    except (OSError, ValueError, AttributeError):  # the loop closed the socket meanwhile
        emit(event="failed", **{"as": o["as"]})


def disconnect(o):
    try:
        clients[o["as"]].disconnect()
    except (OSError, ValueError, AttributeError):  # as above
        pass


orders = {
    "connect": connect,
    "subscribe": lambda o: clients[o["as"]].subscribe(o["topic"], o.get("qos", 0)),
    "publish": publish,
    "disconnect": disconnect,
}
for line in sys.stdin:
    order = json.loads(line)
    orders[order["do"]](order)
os._exit(0)  # whatever threads do

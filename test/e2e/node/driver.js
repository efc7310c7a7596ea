// A device made of Node's ws, told what to do line by line; the orders and
// events are those of test/e2e/py/driver.py.
'use strict';

const readline = require('node:readline');
const WebSocket = require('ws');

const conns = new Map();
const emit = (event) => process.stdout.write(JSON.stringify(event) + '\n');

function connect({ conn, url, protocols, headers, compression }) {
  const ws = new WebSocket(url, protocols || [], {
    headers: headers || {},
    perMessageDeflate: Boolean(compression),
    maxPayload: 0,
  });
  let settled = false; // opened or refused
  let opened = false;
  conns.set(conn, ws);
  ws.on('open', () => {
    settled = opened = true;
    emit({ event: 'open', conn, protocol: ws.protocol, extensions: ws.extensions });
  });
  ws.on('unexpected-response', (req, res) => {
    settled = true;
    emit({ event: 'refused', conn, status: res.statusCode, headers: res.headers });
    req.destroy();
  });
  ws.on('message', (data, isBinary) =>
    emit({ event: isBinary ? 'binary' : 'text', conn, data: data.toString(isBinary ? 'base64' : 'utf8') }));
  ws.on('ping', () => emit({ event: 'pinged', conn }));
  ws.on('pong', () => emit({ event: 'pong', conn }));
  ws.on('error', (err) => {
    if (!settled) emit({ event: 'failed', conn, error: String(err) });
  });
  ws.on('close', (code, reason) => {
    if (opened) emit({ event: 'closed', conn, code, reason: reason.toString() });
  });
}

function obey(order) {
  if (order.do === 'connect') return connect(order);
  const ws = conns.get(order.conn);
  if (order.do === 'close') return ws.close(order.code || 1000, order.reason || '');
  if (ws.readyState !== WebSocket.OPEN) return undefined; // the close event tells
  switch (order.do) {
    case 'text': return ws.send(order.data);
    case 'binary': return ws.send(Buffer.from(order.data, 'base64'));
    case 'ping': return ws.ping(order.data);
    default: throw new Error(`unknown order ${order.do}`);
  }
}

readline.createInterface({ input: process.stdin })
  .on('line', (line) => obey(JSON.parse(line)))
  .on('close', () => process.exit(0));

// Clients made of MQTT.js, for test/e2e/mqttmatrix_test.go, in Node and in a page.
//
//   mqttmatrix.js CAFILE
//
// In Node, orders come as lines of JSON, and what happens leaves as such, as in
// test/e2e/py/mqttmatrix.py. A page has matrix, which takes a function for what happens and
// returns one for orders.
'use strict';

function matrix(mqtt, emit, ca) {
  const clients = {};
  const orders = {
    connect(o) {
      const client = mqtt.connect(o.url, {
        clientId: o.id, username: o.user || 'any', password: o.password, protocolVersion: o.version,
        clean: !o.kept, keepalive: o.keepalive, reconnectPeriod: 0, ca,
        properties: o.kept && o.version === 5 ? { sessionExpiryInterval: 600 } : undefined,
        will: o.topic ? { topic: o.topic, payload: o.payload, qos: 1, retain: false } : undefined,
      });
      let up = false;
      let code = 0;
      clients[o.as] = client;
      client.on('connect', (ack) => { up = true; emit({ event: 'connected', as: o.as, present: Boolean(ack.sessionPresent) }); });
      client.on('error', (err) => { if (!up) emit({ event: 'refused', as: o.as, code: err.code }); });
      client.on('disconnect', (packet) => { code = packet.reasonCode; });
      client.on('close', () => { if (up) emit({ event: 'closed', as: o.as, code }); up = false; });
      client.on('message', (topic, payload, packet) => {
        emit({ event: 'message', as: o.as, topic, payload: payload.toString(), qos: packet.qos, retain: packet.retain });
      });
    },
    subscribe(o) {
      clients[o.as].subscribe(o.topic, { qos: o.qos }, (err, granted) => {
        emit({ event: 'subscribed', as: o.as, code: err ? 128 : granted[0].qos });
      });
    },
    publish(o) {
      clients[o.as].publish(o.topic, o.size ? '0'.repeat(o.size) : o.payload || '', { qos: o.qos, retain: o.retain }, (err) => {
        emit(err ? { event: 'failed', as: o.as, code: err.code } : { event: 'published', as: o.as });
      });
    },
    disconnect(o) { clients[o.as].end(); },
  };
  return (o) => orders[o.do](o);
}

if (typeof module !== 'undefined') {
  const ca = process.argv[2] && require('node:fs').readFileSync(process.argv[2]);
  const order = matrix(require('mqtt'), (event) => process.stdout.write(JSON.stringify(event) + '\n'), ca);
  require('node:readline').createInterface({ input: process.stdin })
    .on('line', (line) => order(JSON.parse(line)))
    .on('close', () => process.exit(0));
}

// An application made of MQTT.js:
//
//   mqttapp.js URL VERSION ID TENANT TOKEN FILTER QOS LAST CAFILE
//
// It subscribes to FILTER in a session that is kept, says "subscribed", and prints each message
// as a line of JSON, until it has acknowledged one whose payload is LAST. As test/e2e/py/mqttapp.py.
'use strict';

const fs = require('node:fs');
const mqtt = require('mqtt');

const [url, version, clientId, username, password, filter, qos, last, ca] = process.argv.slice(2);
const emit = (event) => process.stdout.write(JSON.stringify(event) + '\n');

const client = mqtt.connect(url, {
  clientId, username, password,
  protocolVersion: Number(version),
  clean: false,
  properties: version === '5' ? { sessionExpiryInterval: 3600 } : undefined,
  reconnectPeriod: 0,
  ca: ca ? fs.readFileSync(ca) : undefined,
});
const early = []; // a session that is there goes on before it subscribes
let subscribed = false;
let done = false;
// Behind its DISCONNECT the node may be gone before all of the client's goodbye is written.
client.on('error', (err) => { if (client.disconnecting) return; emit({ event: 'failed', error: String(err) }); process.exit(1); });
client.on('message', (topic, data) => {
  const message = { topic, payload: data.toString() };
  if (subscribed) emit(message); else early.push(message);
  if (message.payload === last) done = true;
  if (done && qos === '0') client.end();
});
client.on('packetsend', (packet) => { if (done && packet.cmd === 'puback') client.end(); });
client.on('connect', async () => {
  await client.subscribeAsync(filter, { qos: Number(qos) });
  emit({ event: 'subscribed' });
  subscribed = true;
  early.forEach(emit);
});

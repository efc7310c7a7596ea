// A device made of MQTT.js:
//
//   mqtt.js URL VERSION DEVICE TOKEN QOS COUNT CAFILE
//
// It asks for commands, publishes COUNT messages of the topic t, with their numbers, and
// says "acked" when all are, answers one command and ends. What happens is a line of JSON
// each, as in test/e2e/py/mqttdevice.py.
'use strict';

const fs = require('node:fs');
const mqtt = require('mqtt');

const [url, version, device, token, qos, count, ca] = process.argv.slice(2);
const emit = (event) => process.stdout.write(JSON.stringify(event) + '\n');

const client = mqtt.connect(url, {
  clientId: device,
  username: 'any',
  password: token,
  protocolVersion: Number(version),
  reconnectPeriod: 0,
  ca: ca ? fs.readFileSync(ca) : undefined,
});
client.on('error', (err) => { if (client.disconnecting) return; emit({ event: 'failed', error: String(err) }); process.exit(1); });
client.on('close', () => emit({ event: 'closed' }));
client.on('message', (topic, data) => {
  emit({ event: 'command', topic, data: data.toString() });
  const id = topic.split('/')[2];
  client.publish(`$edgeloop/reply/${id}`, '{"by":"mqtt.js"}', { qos: Number(qos) }, () => client.end());
});
client.on('connect', async () => {
  await client.subscribeAsync('$edgeloop/command/#');
  emit({ event: 'subscribed' });
  const all = [];
  for (let i = 0; i < Number(count); i++) all.push(client.publishAsync('t', String(i), { qos: Number(qos) }));
  await Promise.all(all);
  emit({ event: 'acked' });
});

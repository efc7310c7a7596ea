// A device made of MQTT.js with a Will that waits for an hour:
//
//   mqttwill.js URL DEVICE CLEAN
//
// It keeps its session, publishes "here" with QoS 1, says "present" or "new" when that has its
// PUBACK, and stays until it is killed or its connection ends.
'use strict';

const mqtt = require('mqtt');

const [url, device, clean] = process.argv.slice(2);
const client = mqtt.connect(url, {
  clientId: device,
  protocolVersion: 5,
  clean: clean === 'true',
  reconnectPeriod: 0,
  properties: { sessionExpiryInterval: 3600 },
  will: { topic: 'state', payload: 'gone', qos: 1, retain: false, properties: { willDelayInterval: 3600 } },
});
client.on('error', (err) => { if (client.disconnecting) return; console.log('failed', String(err)); process.exit(1); });
client.on('close', () => process.exit(0));
client.on('connect', async (ack) => {
  await client.publishAsync('state', 'here', { qos: 1 });
  console.log(ack.sessionPresent ? 'present' : 'new');
});

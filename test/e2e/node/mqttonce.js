// A device made of MQTT.js that sends with QoS 2, whatever happens to the node:
//
//   mqttonce.js URL VERSION DEVICE COUNT
//
// It publishes COUNT messages, with their numbers, in a session that is kept, connecting
// again by itself, says how many are through with a line each hundred, and ends when all are.
// It goes beyond the 500th when it has connected again, and beyond the 1100th after the second time,
// so that whoever reads its lines late does not miss it.
'use strict';

const mqtt = require('mqtt');

const [url, version, device, many] = process.argv.slice(2);
const present = [];
let through = 0;

const client = mqtt.connect(url, {
  clientId: device,
  protocolVersion: Number(version),
  clean: false,
  reconnectPeriod: 100,
  properties: version === '5' ? { sessionExpiryInterval: 3600 } : undefined,
});
client.on('error', () => {});
const stops = [500, 1100];
let next = 0;
let waiting = 0; // places in flight that are not used until it has connected again
client.on('connect', (ack) => {
  present.push(Number(ack.sessionPresent));
  for (; waiting > 0; waiting--) setImmediate(publish);
});
function publish() {
  if (next === Number(many)) return;
  if (next >= (stops[present.length - 1] ?? Number(many))) { waiting++; return; }
  client.publish('t', String(next++), { qos: 2 }, (err) => {
    if (err) process.exit(1);
    if (++through % 100 === 0) console.log('through', through);
    if (through === Number(many)) client.end(false, () => console.log('present', ...present));
    publish();
  });
}
for (let i = 0; i < 20; i++) publish(); // as many are in flight

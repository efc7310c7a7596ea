// A device made of MQTT.js that gets commands with QoS 1, whatever happens to the node:
//
//   mqttkept.js URL VERSION DEVICE
//
// It keeps its session, connects again by itself, and says of each command that it gets
// "NAME MESSAGE-ID DUP". A command whose name begins with "hold" it does not confirm before it
// comes again; it ends with the command "end".
'use strict';

const mqtt = require('mqtt');

const [url, version, device] = process.argv.slice(2);
const client = mqtt.connect(url, {
  clientId: device,
  protocolVersion: Number(version),
  clean: false,
  reconnectPeriod: 100,
  resubscribe: false, // the session knows
  properties: version === '5' ? { sessionExpiryInterval: 3600 } : undefined,
});
client.on('error', () => {});
client.on('connect', (ack) => {
  if (ack.sessionPresent) console.log('present');
  else client.subscribe('$edgeloop/command/#', { qos: 1 }, (err, granted) => console.log('granted', granted[0].qos));
});
client.handleMessage = (packet, confirm) => {
  const name = packet.topic.split('/').pop();
  console.log(name, packet.messageId, Number(packet.dup));
  if (name.startsWith('hold') && !packet.dup) return; // for ever; what is behind it waits too
  confirm();
  if (name === 'end') client.end(false, () => process.exit(0));
};

// A member of a group, made of MQTT.js, that takes a message and never acknowledges one:
//
//   mqttshare.js URL ID TENANT TOKEN FILTER
//
// It says "subscribed", and "held PAYLOAD" of the first message, and stays until it is killed.
'use strict';

const mqtt = require('mqtt');

const [url, clientId, username, password, filter] = process.argv.slice(2);
const client = mqtt.connect(url, { clientId, username, password, protocolVersion: 5, reconnectPeriod: 0 });
client.on('error', (err) => { if (client.disconnecting) return; console.log('failed', String(err)); process.exit(1); });
client.handleMessage = (packet) => console.log('held', packet.payload.toString()); // what is behind it waits too
client.on('connect', () => client.subscribe(filter, { qos: 1 }, (err, granted) => console.log(err ? `failed ${err}` : 'subscribed')));

// Sparkplug B, by Eclipse Tahu's client and payload for Node:
//
//   sparkplug.js edge URL TOKEN
//   sparkplug.js host URL TOKEN
//   sparkplug.js command URL TOKEN TOPIC METRIC
//
// An edge node "edge" of the group "plant" is born, sends one value, is born again by the command
// "rebirth" or an NCMD that asks for it, has a device tell what a DCMD has set, and dies without a
// word when its standard input ends. A host application subscribes to spBv1.0/# and prints each
// message as a line of JSON. Another one publishes a command that sets a metric, and says how that
// was answered.
'use strict';

const payloads = require('sparkplug-payload').get('spBv1.0');
const [role, url, token, ...rest] = process.argv.slice(2);
const emit = (event) => process.stdout.write(JSON.stringify(event) + '\n');

function edge() {
  const client = require('sparkplug-client').newClient({
    serverUrl: url, username: 'any', password: token, clientId: 'edge',
    groupId: 'plant', edgeNode: 'edge', version: 'spBv1.0', keepalive: 60,
  });
  const birth = () => client.publishNodeBirth({
    timestamp: Date.now(),
    metrics: [{ name: 'Node Control/Rebirth', type: 'Boolean', value: false }, { name: 'temp', type: 'Double', value: 20 }],
  });
  client.on('birth', () => {
    birth();
    client.publishNodeData({ timestamp: Date.now(), metrics: [{ name: 'temp', type: 'Double', value: 21.5 }] });
  });
  client.on('error', (err) => { if (client.disconnecting) return; emit({ failed: String(err) }); process.exit(1); });
  const inner = client.client; // which takes all that comes for Sparkplug's
  const [sparkplug] = inner.listeners('message');
  inner.removeListener('message', sparkplug);
  inner.on('message', (topic, bytes) => {
    const [, command, id, name] = topic.split('/');
    if (!topic.startsWith('$edgeloop/') || command !== 'command') { sparkplug(topic, bytes); return; }
    if (name === 'rebirth') birth();
    if (name === 'NCMD' || name === 'DCMD') { // as it would have come by a broker
      const { topic: said, payload } = JSON.parse(bytes);
      sparkplug(said, Buffer.from(payload, 'base64'));
    }
    inner.publish(`$edgeloop/reply/${id}`, '{}');
  });
  client.on('ncmd', ({ metrics }) => { if (metrics.some((m) => m.name === 'Node Control/Rebirth' && m.value)) birth(); });
  client.on('dcmd', (device, { metrics }) => client.publishDeviceData(device, { timestamp: Date.now(), metrics }));
  inner.on('connect', () => inner.subscribe('$edgeloop/command/#', () => emit({ event: 'subscribed' })));
  process.stdin.on('end', () => process.exit(0)).resume(); // no DISCONNECT
}

function host() {
  const client = require('mqtt').connect(url, { clientId: 'host', username: 'default', password: token, reconnectPeriod: 0 });
  client.on('error', (err) => { if (client.disconnecting) return; emit({ failed: String(err) }); process.exit(1); });
  client.on('connect', async () => {
    await client.subscribeAsync('spBv1.0/#', { qos: 1 });
    emit({ event: 'subscribed' });
  });
  client.on('message', (topic, bytes) => {
    const { seq, metrics } = payloads.decodePayload(bytes);
    const values = Object.fromEntries(metrics.map((m) => [m.name, Number(m.value)]));
    emit({ topic, payload: JSON.stringify({ seq: seq === undefined || seq === null ? undefined : Number(seq), ...values }) });
    if (topic.includes('/NDEATH/')) client.end();
  });
}

function command() {
  const [topic, name] = rest;
  const client = require('mqtt').connect(url, { clientId: 'commander', username: 'default', password: token, protocolVersion: 5, reconnectPeriod: 0 });
  client.on('error', (err) => { emit({ failed: String(err) }); process.exit(1); });
  client.on('connect', () => {
    const payload = payloads.encodePayload({ timestamp: Date.now(), metrics: [{ name, type: 'Boolean', value: true }] });
    client.publish(topic, Buffer.from(payload), { qos: 1 }, () => client.end());
  });
  client.on('packetreceive', (p) => { if (p.cmd === 'puback') emit({ code: p.reasonCode || 0 }); });
}

({ edge, host, command })[role]();

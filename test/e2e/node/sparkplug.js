// Sparkplug B, by Eclipse Tahu's client and payload for Node:
//
//   sparkplug.js edge URL TOKEN
//   sparkplug.js host URL TOKEN
//
// An edge node "edge" of the group "plant" is born, sends one value, is born again by the command
// "rebirth", and dies without a word when its standard input ends. A host application subscribes
// to spBv1.0/# and prints each message as a line of JSON.
'use strict';

const payloads = require('sparkplug-payload').get('spBv1.0');
const [role, url, token] = process.argv.slice(2);
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
    inner.publish(`$edgeloop/reply/${id}`, '{}');
  });
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

({ edge, host })[role]();

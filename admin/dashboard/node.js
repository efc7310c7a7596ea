// The node: its state, counts and rates.
import { api } from './api.js';
import { $, setText, setAttribute } from './dom.js';
import { ago, bytes, long, number, rate } from './format.js';

const HISTORY = 60; // points of a rate
const history = { received: [], acknowledged: [] };
let previous = null; // the counts before, for rates
let known = null;    // devices that the node knows of

// devicesKnown is how many there are, null where that is not known.
export const devicesKnown = () => known;

// forgetRates: the next counts are not compared with those before.
export function forgetRates() { previous = null; }

export async function pollNode() {
  const n = (await api('GET', '/v1/node')).answer;
  setText($('node-name'), n.name);
  setText($('state'), n.state);
  setAttribute($('state'), 'class', 'badge ' + n.state);
  let about = `version ${n.version} · up ${n.uptime.replace(/\.\d+s$/, 's')}`;
  if (n.load && n.load.cause) about += ` · ${n.load.state}: ${n.load.detail}`;
  if (n.drain) about += ` · draining: ${number(n.drain.connections)} of ${number(n.drain.total)} left`;
  setText($('about'), about);
  setText($('reasons'), [...(n.not_ready || []), ...(n.warnings || [])].map((r) => r.detail).join(' · '));
  const c = n.counts;
  known = c.devices_online + c.devices_remembered;
  setText($('devices-online'), number(c.devices_online));
  setText($('connections'), number(c.connections));
  setText($('pending'), number(c.queued_messages + c.pending_records));
  setText($('refused'), number(c.messages_refused));
  showLog(n.log && n.log.usage);
  const now = performance.now();
  if (previous && previous.started === n.started) {
    const seconds = (now - previous.at) / 1000;
    showRate('received', (c.messages_received - previous.counts.messages_received) / seconds);
    showRate('acknowledged', (c.messages_acknowledged - previous.counts.messages_acknowledged) / seconds);
  }
  previous = { at: now, counts: c, started: n.started };
}

function showLog(u) {
  if (!u) return;
  setText($('log-bytes'), bytes(u.bytes));
  setText($('log-note'), u.full_in ? `log, ${u.at_full === 'stops' ? 'full' : 'forgets'} in ${long(u.full_in)}` : 'log');
  const facts = [`${number(u.records)} records`];
  if (u.oldest) facts.push(`the oldest ${ago(u.oldest)}`);
  if (u.room_bytes !== undefined) facts.push(`room for ${bytes(u.room_bytes)}, then it ${u.at_full}`);
  if (u.disk_free_bytes !== undefined) facts.push(`${bytes(u.disk_free_bytes)} free on the disk`);
  setAttribute($('log-tile'), 'title', facts.join('\n'));
}

function showRate(name, value) {
  setText($('rate-' + name), rate(value));
  const points = history[name];
  points.push(value);
  if (points.length > HISTORY) points.shift();
  const top = Math.max(...points, 1);
  $('spark-' + name).firstElementChild.setAttribute('points',
    points.map((v, i) => `${120 - ((points.length - 1 - i) / (HISTORY - 1)) * 120},${29 - (v / top) * 27}`).join(' '));
}

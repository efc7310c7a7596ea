// The chosen device: what is known of it, and what can be done to it.
import { api, devicePath, may, said } from './api.js';
import { chosenDevice, same } from './devices.js';
import { $, setFacts, setText } from './dom.js';
import { ago, bytes, number } from './format.js';

let after = () => {}; // an act

export async function pollDetail() {
  const asked = chosenDevice();
  if (!asked) return;
  const { answer } = await api('GET', devicePath('devices', asked)).catch((e) => {
    if (e.status === 404) return { answer: null };
    throw e;
  });
  if (!same(asked, chosenDevice())) return;
  $('detail').hidden = false;
  setText($('detail-name'), `${asked.tenant} / ${asked.device}`);
  $('command').hidden = $('kick').hidden = !may('command');
  $('ban').hidden = !may('admin');
  if (answer) show(answer);
  else setFacts($('detail-list'), [['state', 'never seen']]);
}

// clearDetail is for another device, of which nothing is known yet.
export function clearDetail() {
  setText($('answer'), '');
  setFacts($('detail-list'), []);
}

function show(d) {
  const left = d.disconnected_at && `${ago(d.disconnected_at)}: ${[d.disconnect_reason, d.disconnect_code].filter(Boolean).join(' ')}`;
  setFacts($('detail-list'), [
    ['state', [d.online ? 'online' : 'offline', d.banned && 'banned'].filter(Boolean).join(', ')],
    ['protocol', d.online && (d.protocol || 'raw')],
    ['last seen', `${ago(d.last_seen)} (${d.last_seen})`],
    ['connected', d.connected_at && ago(d.connected_at)],
    ['remote', d.remote],
    ['disconnected', left],
    ['epoch', String(d.epoch)],
    ['highest durable', number(d.durable)],
    ['in flight', d.in_flight && number(d.in_flight)],
    ['waiting to be read', d.out_buffered && bytes(d.out_buffered)],
    ['groups', (d.groups || []).join(', ')],
  ]);
  $('kick').disabled = !d.online;
  setText($('ban'), d.banned ? 'Lift the ban' : 'Ban');
  $('ban').dataset.banned = d.banned ? 'yes' : '';
}

// act does one thing to the chosen device and says what came of it.
async function act(what) {
  setText($('answer'), '…');
  let came;
  try {
    came = await what(chosenDevice());
  } catch (e) {
    came = said(e);
  }
  setText($('answer'), came);
  after();
}

async function sendCommand(d) {
  const body = { name: $('command-name').value };
  if ($('command-data').value.trim()) body.data = JSON.parse($('command-data').value);
  if ($('command-ttl').value) body.ttl = $('command-ttl').value;
  const wait = $('command-wait').value ? '?wait=' + encodeURIComponent($('command-wait').value) : '';
  const { answer } = await api('POST', devicePath('devices', d) + '/commands' + wait, body);
  if (answer.state === 'left') return `left for the device, id ${answer.id}`;
  if (answer.state === 'sent') return `sent, id ${answer.id}`;
  return `${[answer.ok ? 'ok' : 'failed', answer.code, answer.message].filter(Boolean).join(': ')}: ${JSON.stringify(answer.data, null, 1)}`;
}

async function banOrLift(d) {
  if ($('ban').dataset.banned) {
    await api('DELETE', devicePath('bans', d));
    return 'the ban is lifted';
  }
  const reason = prompt(`Why is ${d.device} kept out?`);
  if (reason === null) return '';
  await api('PUT', devicePath('bans', d), { reason });
  return 'banned';
}

// startDetail wires the buttons; acted() is called after each.
export function startDetail(acted) {
  after = acted;
  $('command').onsubmit = (event) => {
    event.preventDefault();
    act(sendCommand);
  };
  $('kick').onclick = () => act(async (d) => {
    await api('DELETE', devicePath('devices', d) + '/connection');
    return 'disconnected';
  });
  $('ban').onclick = () => act(banOrLift);
}

// The live tail: lines of JSON from a request that does not end.
import { ask, problemOf, said } from './api.js';
import { chosenDevice } from './devices.js';
import { $, element, setText } from './dom.js';

const LINES = 200;
let tailing = null; // AbortController of the one that runs

async function start() {
  stop();
  const mine = new AbortController();
  tailing = mine;
  setText($('tail-toggle'), 'Stop');
  $('tail').replaceChildren();
  const q = new URLSearchParams();
  const d = chosenDevice();
  if (d && $('tail-device').checked) {
    q.set('tenant', d.tenant);
    q.set('device', d.device);
  }
  setText($('tail-note'), `From now on, what ${q.size ? d.device + ' sends' : 'devices send'}.`);
  try {
    const res = await ask('/v1/tail?' + q, { headers: { Accept: 'application/x-ndjson' }, signal: mine.signal });
    if (!res.ok) throw await problemOf(res);
    await read(res.body.pipeThrough(new TextDecoderStream()).getReader());
  } catch (e) {
    if (!mine.signal.aborted) $('tail').append(element('li', said(e), 'fault'));
  }
  if (tailing === mine) stop();
}

async function read(reader) {
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split('\n');
    rest = lines.pop();
    show(lines.filter(Boolean));
  }
}

function stop() {
  if (tailing) tailing.abort();
  tailing = null;
  setText($('tail-toggle'), 'Start');
  setText($('tail-note'), 'Start it to see what devices send, as it becomes durable.');
}

function show(lines) {
  const list = $('tail');
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  for (const line of lines.slice(-LINES)) {
    const r = JSON.parse(line);
    const item = element('li', r.end ? `the stream ended: ${r.detail}` : undefined, r.end ? 'fault' : '');
    if (!r.end) {
      item.append(element('span', `${r.device} ${r.type} ${r.seq ? '#' + r.seq + ' ' : ''}${r.topic || ''} `), JSON.stringify(r.data));
    }
    list.append(item);
  }
  while (list.childElementCount > LINES) list.firstElementChild.remove();
  if (atEnd) list.scrollTop = list.scrollHeight;
}

// tailChosen has a tail of the chosen device follow the choice.
export function tailChosen() {
  if (tailing && $('tail-device').checked) start();
}

export function startTail() {
  $('tail-toggle').onclick = () => (tailing ? stop() : start());
  $('tail-device').onchange = () => { if (tailing) start(); };
}

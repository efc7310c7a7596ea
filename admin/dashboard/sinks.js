// The sinks: how each stands, how far behind it is, and why.
import { api, may, said } from './api.js';
import { $, element, patchList, setAttribute, setFacts, setText } from './dom.js';
import { ago, bytes, clock, number, plural, rate, secondsSince, span } from './format.js';

const before = new Map(); // counts of the answer before, by name
const ACTIONS = {
  pause: { word: 'Pause', states: ['starting', 'running', 'waiting'] },
  resume: { word: 'Resume', states: ['waiting', 'paused', 'stopped', 'elsewhere'] },
};

export async function pollSinks() {
  const { sinks } = (await api('GET', '/v1/sinks')).answer;
  const now = performance.now();
  for (const s of sinks) measure(s, now);
  patchList($('sink-list'), sinks, (s) => s.name, makeCard, updateCard);
  setText($('sinks-empty'), sinks.length ? '' : 'None is configured: what devices send stays in the log.');
}

// measure puts the throughput since an answer before into s.rate and s.byteRate.
function measure(s, now) {
  const last = before.get(s.name);
  if (last && s.records >= last.records) {
    const seconds = (now - last.at) / 1000;
    const soon = seconds < 1; // too soon to measure
    s.rate = soon ? last.rate : (s.records - last.records) / seconds;
    s.byteRate = soon ? last.byteRate : (s.bytes - last.bytes) / seconds;
    if (soon) return;
  }
  before.set(s.name, { at: now, records: s.records, bytes: s.bytes, rate: s.rate, byteRate: s.byteRate });
}

// forgetThroughput: the next counts are not compared with those before.
export function forgetThroughput() { before.clear(); }

function makeCard(s) {
  const card = element('li');
  const head = element('div', undefined, 'row');
  head.append(element('h3', s.name), element('span', '', 'hint'), element('span', '', 'badge'));
  for (const [action, { word }] of Object.entries(ACTIONS)) {
    const button = element('button', word);
    button.type = 'button';
    button.dataset.action = action;
    button.setAttribute('aria-label', `${word} ${s.name}`);
    button.onclick = () => act(card, s.name, action);
    head.append(button);
  }
  card.append(head, element('dl'), element('p', '', 'error'), element('p', '', 'fault'));
  card.lastChild.setAttribute('role', 'status');
  return card;
}

function updateCard(card, s) {
  const [head, facts, error] = card.children;
  const [, type, state, ...buttons] = head.children;
  setText(type, s.type);
  setText(state, s.state);
  setAttribute(state, 'class', 'badge ' + s.state);
  setAttribute(state, 'title', `since ${ago(s.since)}, breaker ${s.breaker}`);
  showButtons(buttons, s.state);
  setFacts(facts, [
    ['lag', lag(s)],
    ['throughput', s.rate === undefined ? 'not known yet' : `${rate(s.rate)} records/s, ${bytes(s.byteRate)}/s`],
    ['catching up', s.paced_per_second && `at ${rate(s.paced_per_second)} records/s at most, so that devices are served`],
    ['oldest unconfirmed', s.oldest ? `${ago(s.oldest)} (${clock(s.oldest)})` : s.lag_records === 0 ? 'none' : 'none that it has read'],
    ['confirmed', `${plural(s.records, 'record')}, ${bytes(s.bytes)}`],
    ['dead letters', s.refused && plural(s.refused, 'record') + ' refused', 'warn'],
    ['left out', s.unkept && plural(s.unkept, 'record') + ' of these, of devices with too many', 'warn'],
    ['missed', s.missed && plural(s.missed, 'record') + ', taken by retention first', 'warn'],
  ]);
  setAttribute(error, 'class', s.state === 'running' ? 'error hint' : 'error fault');
  setText(error, s.last_error ? lastError(s) : '');
}

// lag is how far the sink is behind the log: in records, in bytes and in time.
function lag(s) {
  if (s.lag_records === undefined) return 'not known';
  if (s.lag_records === 0) return 'none';
  const parts = [plural(s.lag_records, 'record')];
  if (s.lag_bytes !== undefined) parts.push(bytes(s.lag_bytes));
  if (s.oldest) parts.push(span(secondsSince(s.oldest)));
  return parts.join(', ');
}

function lastError(s) {
  const when = s.last_error_at ? `Last error, ${ago(s.last_error_at)}: ` : 'Last error: ';
  const retry = s.state === 'waiting' && s.retry_at ? `; next attempt at ${clock(s.retry_at)}` : '';
  return when + s.last_error + retry;
}

// showButtons offers what the token and the state allow. Focus on one that goes passes to
// the other.
function showButtons(buttons, state) {
  const focused = buttons.find((b) => b === document.activeElement);
  for (const b of buttons) b.hidden = !may('admin') || !ACTIONS[b.dataset.action].states.includes(state);
  const left = buttons.find((b) => !b.hidden);
  if (focused && focused.hidden && left) left.focus();
}

async function act(card, name, action) {
  try {
    const { answer } = await api('POST', `/v1/sinks/${encodeURIComponent(name)}/${action}`);
    setText(card.lastChild, '');
    measure(answer, performance.now());
    updateCard(card, answer);
  } catch (e) {
    setText(card.lastChild, `${action}: ${said(e)}`);
  }
}

// The table of devices, one page at a time.
import { api, bound } from './api.js';
import { $, element, patchList, setAttribute, setText } from './dom.js';
import { ago, number } from './format.js';
import { devicesKnown } from './node.js';

const PAGE = 100;
const FILTERS = ['prefix', 'tenant', 'group', 'online'];

let before = []; // where the pages before this one began
let after = '';  // where this one begins
let next = '';
let turn = 0;    // of the newest question: older answers do not count
let current = null; // key of the row that Tab leads to
let chosen = null;  // {tenant, device}
let onChoose = () => {};

export const chosenDevice = () => chosen;

export const same = (a, b) => Boolean(a && b && a.tenant === b.tenant && a.device === b.device);

const keyOf = (d) => `${d.tenant}/${d.device}`; // no name has a slash

export async function loadDevices() {
  const mine = ++turn;
  const q = new URLSearchParams({ limit: PAGE });
  for (const name of FILTERS) if ($(name).value) q.set(name, $(name).value);
  if (after) q.set('after', after);
  const { answer } = await api('GET', '/v1/devices?' + q);
  if (mine !== turn) return;
  next = answer.next || '';
  show(answer.devices);
}

function show(devices) {
  patchList($('device-rows'), devices, keyOf, makeRow, updateRow);
  if (!devices.some((d) => keyOf(d) === current)) current = devices.length ? keyOf(devices[0]) : null;
  for (const row of $('device-rows').children) row.tabIndex = row.key === current ? 0 : -1;
  $('device-table').hidden = !devices.length;
  $('next').disabled = !next;
  $('back').disabled = !before.length;
  $('next').hidden = $('back').hidden = !next && !before.length; // all is on one page
  setText($('page-note'), devices.length ? range(devices.length) : '');
  setText($('devices-empty'), devices.length ? '' : nothing());
}

const filtered = () => FILTERS.some((name) => $(name).value);

function nothing() {
  if (before.length) return 'No device comes after these.';
  if (filtered()) return 'No device matches the filter.';
  return 'No device has connected yet. “edgeloop token --device NAME” makes the token of one.';
}

// range says which devices are on this page, and so which are left out.
function range(count) {
  const first = before.length * PAGE + 1;
  const last = first + count - 1;
  const shown = first === last ? number(last) : `${number(first)} to ${number(last)}`;
  const known = devicesKnown();
  if (filtered()) return next ? `${shown} of those that match; more follow` : `${shown}, the last that match`;
  if (known !== null && !bound() && known >= last) return `${shown} of ${number(known)}`;
  return next ? `${shown}; more follow` : `${shown}, the last`;
}

function makeRow(d) {
  const row = element('tr');
  const state = element('td');
  state.append(element('span', undefined, 'dot'), element('span', '', 'unseen'));
  const name = element('td');
  name.append(element('span', d.device), element('small', d.tenant));
  name.title = d.device;
  row.append(state, name, element('td', d.tenant), element('td'), element('td', '', 'figure'), element('td'));
  row.onclick = () => { if (getSelection().isCollapsed) choose(d, row); };
  row.onfocus = () => makeCurrent(row);
  row.onkeydown = (e) => keyDown(e, d, row);
  return row;
}

function updateRow(row, d) {
  const [state, , , seen, durable, protocol] = row.children;
  const word = d.banned ? 'banned' : d.online ? 'online' : 'offline';
  setAttribute(state.firstChild, 'class', 'dot ' + word);
  setAttribute(state, 'title', word);
  setText(state.lastChild, word);
  setText(seen, ago(d.last_seen));
  setText(durable, number(d.durable));
  setText(protocol, d.online ? d.protocol || 'raw' : '');
  setAttribute(protocol, 'title', protocol.textContent);
  setAttribute(row, 'aria-selected', String(same(d, chosen)));
}

function makeCurrent(row) {
  for (const other of row.parentNode.children) other.tabIndex = other === row ? 0 : -1;
  current = row.key;
}

// The table is one stop of Tab; keys lead on from there.
function keyDown(e, d, row) {
  const rows = [...row.parentNode.children];
  const at = rows.indexOf(row);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1, PageDown: at + 10, PageUp: at - 10 }[e.key];
  if (e.key === 'Enter' || e.key === ' ') choose(d, row);
  else if (to === undefined || e.ctrlKey || e.altKey || e.metaKey) return;
  else rows[Math.max(0, Math.min(to, rows.length - 1))].focus();
  e.preventDefault();
}

function choose(d, row) {
  chosen = { tenant: d.tenant, device: d.device };
  for (const other of row.parentNode.children) setAttribute(other, 'aria-selected', String(other === row));
  onChoose();
}

// startDevices wires the table: chosen() is called when another device is chosen, reload()
// when there is something else to show.
export function startDevices(callbacks) {
  onChoose = callbacks.chosen;
  const go = (stack, from) => {
    before = stack;
    after = from;
    $('device-scroll').scrollTop = 0;
    callbacks.reload();
  };
  $('filter').onsubmit = (e) => { e.preventDefault(); go([], ''); };
  for (const name of FILTERS) $(name).oninput = () => go([], '');
  $('back').onclick = () => go(before.slice(0, -1), before.at(-1));
  $('next').onclick = () => go([...before, after], next);
}

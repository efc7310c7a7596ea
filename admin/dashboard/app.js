// The dashboard: it asks the admin API like any other client, and puts what a
// device said into the page as text, never as markup.
const $ = (id) => document.getElementById(id);
const POLL_MS = 2000;
const HISTORY = 60; // points of a rate
const TAIL_LINES = 200;

let token = sessionStorage.getItem('edgeloop-token') || '';
let chosen = null;   // {tenant, device}
let page = { after: '', next: '' };
let previous = null; // the counts before, for rates
let tailing = null;  // AbortController of the live tail
const history = { received: [], acknowledged: [] };

// api calls the node; a refusal is thrown as its problem document.
async function api(method, path, body) {
  const res = await fetch(path.slice(1), { // under whatever path the page has behind a proxy
    method,
    headers: { Authorization: 'Bearer ' + token, Accept: 'application/json' },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const answer = res.status === 204 ? {} : await res.json();
  if (!res.ok) {
    if (res.status === 401) askToken('The node does not know this token.');
    throw answer;
  }
  return { status: res.status, answer };
}

const said = (e) => e.detail || e.message || String(e);

function devicePath(collection, d) {
  return `/v1/${collection}/${encodeURIComponent(d.tenant)}/${encodeURIComponent(d.device)}`;
}

function askToken(fault) {
  $('login-fault').textContent = token ? fault : '';
  if (!$('login').open) $('login').showModal();
}

// element makes <name class=...> with text.
function element(name, text, className) {
  const e = document.createElement(name);
  if (text !== undefined) e.textContent = text;
  if (className) e.className = className;
  return e;
}

const number = (n) => n.toLocaleString('en');

function ago(time) {
  const s = Math.max(0, (Date.now() - new Date(time)) / 1000);
  if (s < 90) return `${Math.round(s)} s ago`;
  if (s < 5400) return `${Math.round(s / 60)} min ago`;
  if (s < 129600) return `${Math.round(s / 3600)} h ago`;
  return new Date(time).toLocaleDateString();
}

// Node: counts and rates.

async function pollNode() {
  try {
    showNode((await api('GET', '/v1/node')).answer);
    document.body.classList.remove('stale');
  } catch (e) {
    const away = e instanceof TypeError; // of fetch: nobody has answered
    $('state').textContent = away ? 'does not answer' : e.status === 401 ? 'unknown token' : 'refused';
    $('state').className = 'badge lost';
    $('reasons').textContent = away ? 'The node has stopped, or is out of reach; the figures are old.' : said(e);
    document.body.classList.add('stale');
    previous = null;
  }
}

function showNode(n) {
  $('node-name').textContent = n.name;
  $('state').textContent = n.state;
  $('state').className = 'badge ' + n.state;
  let about = `version ${n.version} · up ${n.uptime.replace(/\.\d+s$/, 's')}`;
  if (n.drain) about += ` · draining: ${number(n.drain.connections)} of ${number(n.drain.total)} left`;
  $('about').textContent = about;
  $('reasons').textContent = [...(n.not_ready || []), ...(n.warnings || [])].map((r) => r.detail).join(' · ');
  const c = n.counts;
  $('devices-online').textContent = number(c.devices_online);
  $('connections').textContent = number(c.connections);
  $('pending').textContent = number(c.queued_messages + c.pending_records);
  $('refused').textContent = number(c.messages_refused);
  showLog(n.log && n.log.usage);
  const now = performance.now();
  if (previous && previous.started === n.started) {
    const seconds = (now - previous.at) / 1000;
    showRate('received', (c.messages_received - previous.counts.messages_received) / seconds);
    showRate('acknowledged', (c.messages_acknowledged - previous.counts.messages_acknowledged) / seconds);
  }
  previous = { at: now, counts: c, started: n.started };
}

function bytes(n) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let i = 0;
  while (n >= 1024 && i < units.length - 1) { n /= 1024; i++; }
  return `${i && n < 100 ? n.toFixed(1) : Math.round(n)} ${units[i]}`;
}

// long says a Go duration in its largest unit.
function long(duration) {
  const h = Number((duration.match(/(\d+)h/) || [0, 0])[1]);
  const m = Number((duration.match(/(\d+)m(?!s)/) || [0, 0])[1]);
  if (h >= 48) return `${Math.round(h / 24)} days`;
  return h ? `${h} h` : m ? `${m} min` : 'moments';
}

function showLog(u) {
  if (!u) return;
  $('log-bytes').textContent = bytes(u.bytes);
  const note = ['log'];
  if (u.full_in) note.push(`${u.at_full === 'stops' ? 'full' : 'forgets'} in ${long(u.full_in)}`);
  $('log-note').textContent = note.join(', ');
  const facts = [`${number(u.records)} records`];
  if (u.oldest) facts.push(`the oldest ${ago(u.oldest)}`);
  if (u.room_bytes !== undefined) facts.push(`room for ${bytes(u.room_bytes)}, then it ${u.at_full}`);
  if (u.disk_free_bytes !== undefined) facts.push(`${bytes(u.disk_free_bytes)} free on the disk`);
  $('log-tile').title = facts.join('\n');
}

function showRate(name, rate) {
  $('rate-' + name).textContent = number(Math.round(rate * 10) / 10);
  const points = history[name];
  points.push(rate);
  if (points.length > HISTORY) points.shift();
  const top = Math.max(...points, 1);
  $('spark-' + name).firstElementChild.setAttribute('points',
    points.map((v, i) => `${120 - ((points.length - 1 - i) / (HISTORY - 1)) * 120},${29 - (v / top) * 27}`).join(' '));
}

// Devices: the table and the one that is chosen.

async function loadDevices() {
  const q = new URLSearchParams({ limit: 50 });
  for (const name of ['prefix', 'tenant', 'group', 'online']) {
    if ($(name).value) q.set(name, $(name).value);
  }
  if (page.after) q.set('after', page.after);
  try {
    const { answer } = await api('GET', '/v1/devices?' + q);
    page.next = answer.next || '';
    $('device-rows').replaceChildren(...answer.devices.map(deviceRow));
    $('page-note').textContent = answer.devices.length ? '' : narrowed() ? 'no such device' : 'no device has been here yet';
    $('next').disabled = !page.next;
    $('first').disabled = !page.after;
  } catch (e) {
    $('page-note').textContent = said(e);
  }
}

// narrowed says that the filter leaves devices out.
const narrowed = () => page.after || ['prefix', 'tenant', 'group', 'online'].some((name) => $(name).value);

function isChosen(d) {
  return chosen && chosen.tenant === d.tenant && chosen.device === d.device;
}

function deviceRow(d) {
  const row = element('tr');
  const dot = element('span', undefined, 'dot' + (d.banned ? ' banned' : d.online ? ' on' : ''));
  dot.title = d.banned ? 'banned' : d.online ? 'online' : 'offline';
  const first = element('td');
  first.append(dot);
  row.append(first);
  for (const text of [d.device, d.tenant, ago(d.last_seen), number(d.durable), d.online ? d.protocol || 'raw' : '']) {
    const cell = element('td', text);
    cell.title = text;
    row.append(cell);
  }
  row.tabIndex = 0;
  if (isChosen(d)) row.className = 'chosen';
  row.onclick = () => choose(d);
  row.onkeydown = (e) => { if (e.key === 'Enter') choose(d); };
  return row;
}

function choose(d) {
  chosen = { tenant: d.tenant, device: d.device };
  $('answer').textContent = '';
  $('detail').hidden = false;
  showDevice(d);
  loadDevices();
  if (tailing && $('tail-device').checked) startTail();
}

function showDevice(d) {
  $('detail-name').textContent = `${d.tenant} / ${d.device}`;
  const facts = [
    ['state', d.online ? 'online' : 'offline'],
    ['last seen', `${ago(d.last_seen)} (${d.last_seen})`],
    ['connected', d.connected_at && ago(d.connected_at)],
    ['remote', d.remote],
    ['disconnected', d.disconnected_at && `${ago(d.disconnected_at)}: ${[d.disconnect_reason, d.disconnect_code].filter(Boolean).join(' ')}`],
    ['epoch', String(d.epoch)],
    ['highest durable', number(d.durable)],
    ['in flight', d.in_flight && number(d.in_flight)],
    ['waiting to be read', d.out_buffered && number(d.out_buffered) + ' bytes'],
    ['groups', (d.groups || []).join(', ')],
    ['banned', d.banned && 'yes'],
  ];
  $('detail-list').replaceChildren(...facts.filter(([, v]) => v).flatMap(([k, v]) => [element('dt', k), element('dd', v)]));
  $('kick').disabled = !d.online;
  $('ban').textContent = d.banned ? 'Lift the ban' : 'Ban';
  $('ban').dataset.banned = d.banned ? 'yes' : '';
}

async function pollDevice() {
  if (!chosen) return;
  const asked = chosen;
  try {
    const { answer } = await api('GET', devicePath('devices', asked));
    if (isChosen(asked)) showDevice(answer);
  } catch (e) {
    if (e.status !== 404) $('answer').textContent = said(e);
  }
}

// act does one thing to the chosen device and says what came of it.
async function act(what) {
  $('answer').textContent = '…';
  try {
    $('answer').textContent = await what();
  } catch (e) {
    $('answer').textContent = said(e);
  }
  pollDevice();
  loadDevices();
}

$('command').onsubmit = (event) => {
  event.preventDefault();
  act(async () => {
    const body = { name: $('command-name').value };
    if ($('command-data').value.trim()) body.data = JSON.parse($('command-data').value);
    if ($('command-ttl').value) body.ttl = $('command-ttl').value;
    const wait = $('command-wait').value ? '?wait=' + encodeURIComponent($('command-wait').value) : '';
    const { answer } = await api('POST', devicePath('devices', chosen) + '/commands' + wait, body);
    if (answer.state === 'left') return `left for the device, id ${answer.id}`;
    if (answer.state === 'sent') return `sent, id ${answer.id}`;
    return `${[answer.ok ? 'ok' : 'failed', answer.code, answer.message].filter(Boolean).join(': ')}: ${JSON.stringify(answer.data, null, 1)}`;
  });
};

$('kick').onclick = () => act(async () => {
  await api('DELETE', devicePath('devices', chosen) + '/connection');
  return 'disconnected';
});

$('ban').onclick = () => act(async () => {
  if ($('ban').dataset.banned) {
    await api('DELETE', devicePath('bans', chosen));
    return 'the ban is lifted';
  }
  const reason = prompt(`Why is ${chosen.device} kept out?`);
  if (reason === null) return '';
  await api('PUT', devicePath('bans', chosen), { reason });
  return 'banned';
});

// Live tail: lines of JSON from a request that does not end.

async function startTail() {
  stopTail();
  const mine = new AbortController();
  tailing = mine;
  $('tail-toggle').textContent = 'Stop';
  $('tail').replaceChildren();
  const q = new URLSearchParams();
  if (chosen && $('tail-device').checked) {
    q.set('tenant', chosen.tenant);
    q.set('device', chosen.device);
  }
  try {
    const res = await fetch('v1/tail?' + q, {
      headers: { Authorization: 'Bearer ' + token, Accept: 'application/x-ndjson' },
      signal: mine.signal,
    });
    if (!res.ok) throw await res.json();
    const reader = res.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      const lines = (rest + value).split('\n');
      rest = lines.pop();
      showLines(lines.filter(Boolean));
    }
  } catch (e) {
    if (!mine.signal.aborted) $('tail').append(element('li', said(e), 'fault'));
  }
  if (tailing === mine) stopTail();
}

function stopTail() {
  if (tailing) tailing.abort();
  tailing = null;
  $('tail-toggle').textContent = 'Start';
}

function showLines(lines) {
  const list = $('tail');
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  for (const line of lines.slice(-TAIL_LINES)) {
    const r = JSON.parse(line);
    const item = element('li', r.end ? `the stream ended: ${r.detail}` : undefined, r.end ? 'fault' : '');
    if (!r.end) {
      item.append(element('span', `${r.device} ${r.type} ${r.seq ? '#' + r.seq + ' ' : ''}${r.topic || ''} `), JSON.stringify(r.data));
    }
    list.append(item);
  }
  while (list.childElementCount > TAIL_LINES) list.firstElementChild.remove();
  if (atEnd) list.scrollTop = list.scrollHeight;
}

$('tail-toggle').onclick = () => (tailing ? stopTail() : startTail());
$('tail-device').onchange = () => { if (tailing) startTail(); };

// Start.

function firstPage() {
  page = { after: '', next: '' };
  loadDevices();
}

$('filter').onsubmit = (e) => { e.preventDefault(); firstPage(); };
for (const name of ['prefix', 'tenant', 'group', 'online']) $(name).oninput = firstPage;
$('first').onclick = firstPage;
$('next').onclick = () => { page.after = page.next; loadDevices(); };
$('login').onclose = () => {
  token = $('token').value.trim();
  sessionStorage.setItem('edgeloop-token', token);
  $('token').value = '';
  poll();
};

function poll() {
  if (!token) return askToken('');
  if ($('login').open || document.hidden) return;
  pollNode();
  loadDevices();
  pollDevice();
}

poll();
setInterval(poll, POLL_MS);

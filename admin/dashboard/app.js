// The dashboard: it asks the admin API like any other client, every two seconds, and says
// which of these it is: no answer yet, an unknown token, a node that is away, or live.
import { Away, api, bound, forgetHolder, hasToken, holderName, introduce, may, said, setToken } from './api.js';
import { clearDetail, pollDetail, startDetail } from './detail.js';
import { loadDevices, startDevices } from './devices.js';
import { $, setAttribute, setText } from './dom.js';
import { clock } from './format.js';
import { forgetRates, pollNode } from './node.js';
import { forgetThroughput, pollSinks } from './sinks.js';
import { startTail, tailChosen } from './tail.js';

const POLL_MS = 2000;
let heard = null; // when the figures are of
let timer = 0;
let polling = false;

// poll asks for all that is shown. One runs at a time, so that a slow node is not asked
// ever more.
async function poll() {
  clearTimeout(timer);
  timer = setTimeout(poll, POLL_MS);
  if (polling || document.hidden || $('login').open) return;
  if (!hasToken()) return askToken('');
  polling = true;
  try {
    await introduce();
    showHolder();
    const ofNode = bound() ? [] : [pollNode(), part('sinks', pollSinks)];
    await Promise.all([...ofNode, part('devices', loadDevices), part('detail', pollDetail)]);
    showLive();
  } catch (e) {
    showTrouble(e);
  }
  polling = false;
}

// part asks for one part of the page: a refusal that concerns it alone is said there.
async function part(id, load) {
  try {
    await load();
    setText($(id + '-fault'), '');
    $(id).classList.remove('stale');
  } catch (e) {
    if (e instanceof Away || e.status === 401) throw e;
    setText($(id + '-fault'), said(e));
    $(id).classList.add('stale');
  }
}

function showHolder() {
  setText($('holder'), `${holderName()}${bound() ? ', tenant ' + bound() : ''}`);
  $('counts').hidden = $('sinks').hidden = Boolean(bound());
  $('tenant').hidden = Boolean(bound());
}

function showLive() {
  heard = new Date();
  document.body.dataset.view = 'live';
  document.body.classList.remove('stale');
  if (bound()) setState('answers', 'running', '', '');
}

function showTrouble(e) {
  forgetRates();
  forgetThroughput();
  forgetHolder();
  document.body.classList.add('stale');
  const old = heard ? ` The figures are of ${clock(heard)}.` : '';
  if (!heard) {
    setText($('devices-empty'), 'Nothing is known of its devices yet.');
    setText($('sinks-empty'), 'Nothing is known of its sinks yet.');
  }
  if (e instanceof Away) {
    document.body.dataset.view = 'away';
    setState('does not answer', 'lost', `The node does not answer. ${said(e)}${old}`);
  } else if (e.status === 401) {
    document.body.dataset.view = 'token';
    setState('unknown token', 'lost', `The node does not know this token.${old}`);
    askToken(/expired/.test(said(e)) ? said(e) : 'The node does not know this token.');
  } else {
    document.body.dataset.view = 'refused';
    setState(e.status === 503 ? 'unavailable' : 'refused', 'lost', said(e) + old); // 503: it may be starting
  }
}

function setState(word, className, reason, about) {
  setText($('state'), word);
  setAttribute($('state'), 'class', 'badge ' + className);
  setText($('reasons'), reason);
  if (about !== undefined) setText($('about'), about);
}

function askToken(fault) {
  if (!hasToken()) {
    document.body.dataset.view = 'token';
    setState('no token', 'lost', 'The node answers to a token alone.');
  }
  setText($('login-fault'), fault);
  $('login-cancel').hidden = Boolean(fault) || !hasToken();
  if (!$('login').open) $('login').showModal();
}

$('login-form').onsubmit = () => {
  setToken($('token').value.trim());
  $('token').value = '';
  document.body.dataset.view = 'loading';
  setState('asking the node', '', '');
};
$('login').onclose = () => poll();
$('login-cancel').onclick = () => $('login').close();
$('other-token').onclick = () => askToken('');

startDevices({
  chosen: () => {
    clearDetail();
    part('detail', pollDetail).then(() => $('detail').scrollIntoView({ block: 'nearest' }), showTrouble);
    tailChosen();
  },
  reload: () => part('devices', loadDevices).catch(showTrouble),
});
startDetail(poll);
startTail();
document.addEventListener('visibilitychange', () => { if (!document.hidden) poll(); });
poll();

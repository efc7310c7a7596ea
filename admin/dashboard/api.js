// Calls to the node, under whatever path the page has behind a proxy.
import { heardAt } from './format.js';

// A tab keeps one token for each node, also where several share a host.
const KEPT = 'edgeloop-token ' + location.pathname;
const PATIENCE_MS = 5000;

let token = sessionStorage.getItem(KEPT) || '';
let holder = null; // what the node says of the token: name, scopes, tenant

export const hasToken = () => token !== '';

export function setToken(value) {
  token = value;
  holder = null;
  sessionStorage.setItem(KEPT, token);
}

// may says whether the token allows what needs the scope.
export const may = (scope) => Boolean(holder && holder.scopes.includes(scope));

// bound is the tenant that the token is bound to, "" for none.
export const bound = () => (holder && holder.tenant) || '';

export const holderName = () => (holder ? holder.name : '');

// introduce asks what the token allows, unless that is known.
export async function introduce() {
  if (!holder) holder = (await api('GET', '/v1/token')).answer;
}

// forgetHolder has it asked again: the tokens file may have changed.
export function forgetHolder() { holder = null; }

// Away: nobody has answered, or somebody else did.
export class Away extends Error {}

// ask sends a request and returns the response, whatever its status.
export async function ask(path, options = {}) {
  try {
    return await fetch(path.slice(1), {
      ...options,
      headers: { Accept: 'application/json', ...options.headers, Authorization: 'Bearer ' + token },
    });
  } catch (e) {
    if (e.name === 'AbortError') throw e;
    throw new Away(e.name === 'TimeoutError' ? 'It does not answer in time.' : 'It has stopped, or is out of reach.');
  }
}

// problemOf reads a refusal.
export async function problemOf(res) {
  if (!/json/.test(res.headers.get('Content-Type') || '')) {
    return new Away(`Something else answers in its place, with status ${res.status}.`);
  }
  return res.json();
}

// api calls the node; a refusal is thrown as its problem document. What only reads has to
// be answered soon.
export async function api(method, path, body) {
  const res = await ask(path, {
    method,
    signal: method === 'GET' ? AbortSignal.timeout(PATIENCE_MS) : undefined,
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (res.status !== 204 && (!res.ok || !/json/.test(res.headers.get('Content-Type') || ''))) throw await problemOf(res);
  heardAt(res.headers.get('Date'));
  return { status: res.status, answer: res.status === 204 ? {} : await res.json() };
}

export const said = (e) => e.detail || e.message || String(e);

export function devicePath(collection, d) {
  return `/v1/${collection}/${encodeURIComponent(d.tenant)}/${encodeURIComponent(d.device)}`;
}

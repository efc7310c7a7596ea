// Figures as people read them. A number and its unit stay on one line.

export const number = (n) => n.toLocaleString('en');

export const rate = (n) => number(n < 100 ? Math.round(n * 10) / 10 : Math.round(n));

// plural is "1 record", "2 records".
export const plural = (n, what) => `${number(n)} ${what}${n === 1 ? '' : 's'}`;

export function bytes(n) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let i = 0;
  while (n >= 1024 && i < units.length - 1) { n /= 1024; i++; }
  return `${i && n < 100 ? n.toFixed(1) : Math.round(n)}\u00a0${units[i]}`;
}

// The browser's clock may be wrong; the node's own is what its times are compared with.
let skew = 0; // milliseconds

// heardAt notes the Date of an answer, which has whole seconds.
export function heardAt(date) {
  const ahead = new Date(date) - Date.now();
  if (!Number.isNaN(ahead)) skew = Math.abs(ahead) < 3000 ? 0 : ahead;
}

// secondsSince is how long ago a time of the node was.
export const secondsSince = (time) => Math.max(0, (Date.now() + skew - new Date(time)) / 1000);

export function span(seconds) {
  if (seconds < 90) return `${Math.round(seconds)}\u00a0s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)}\u00a0min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)}\u00a0h`;
  return `${Math.round(seconds / 86400)}\u00a0days`;
}

export const ago = (time) => `${span(secondsSince(time))} ago`;

export const clock = (time) => new Date(time).toLocaleTimeString('en-GB');

// long says a Go duration in its largest unit.
export function long(duration) {
  const h = Number((duration.match(/(\d+)h/) || [0, 0])[1]);
  const m = Number((duration.match(/(\d+)m(?!s)/) || [0, 0])[1]);
  if (h >= 48) return `${Math.round(h / 24)}\u00a0days`;
  return h ? `${h} h` : m ? `${m} min` : 'moments';
}

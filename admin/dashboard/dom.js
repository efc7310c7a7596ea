// What the page is made of. Elements that are there are patched, never made again, so that
// focus and selection stay where they are; what a device said becomes text, never markup.
export const $ = (id) => document.getElementById(id);

// element makes <name class=...> with text.
export function element(name, text, className) {
  const e = document.createElement(name);
  if (text !== undefined) e.textContent = text;
  if (className) e.className = className;
  return e;
}

// setText changes the text of an element that holds nothing else. Where the reader's
// selection ends in it, it does so afterwards.
export function setText(e, value) {
  const text = String(value ?? '');
  const node = e.firstChild;
  if (!node) {
    if (text) e.append(text);
    return;
  }
  if (node.data === text) return;
  const s = getSelection();
  const ends = [[s.anchorNode, s.anchorOffset], [s.focusNode, s.focusOffset]];
  const old = node.length;
  node.data = text;
  if (!ends.some(([at]) => at === node)) return;
  s.setBaseAndExtent(...ends.flatMap(([at, offset]) =>
    [at, at !== node ? offset : offset === old ? text.length : Math.min(offset, text.length)]));
}

export function setAttribute(e, name, value) {
  if (e.getAttribute(name) !== value) e.setAttribute(name, value);
}

// patchList makes the children of parent be those of items, in their order: make(item) for
// those that are new, update(child, item) for all. A child that stays is not moved, unless
// the order of items has changed. Focus in one that goes passes to the one that comes in
// its place.
export function patchList(parent, items, keyOf, make, update) {
  const known = new Map([...parent.children].map((child) => [child.key, child]));
  const wanted = new Set(items.map(keyOf));
  const focused = [...parent.children].findIndex((child) => child.contains(document.activeElement));
  const lost = focused >= 0 && !wanted.has(parent.children[focused].key);
  for (const [key, child] of known) if (!wanted.has(key)) child.remove();
  let at = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    let child = known.get(key);
    if (!child) {
      child = make(item);
      child.key = key;
    }
    if (child === at) at = at.nextElementSibling;
    else parent.insertBefore(child, at);
    update(child, item);
  }
  if (lost && items.length) focusOn(parent.children[Math.min(focused, items.length - 1)]);
}

function focusOn(child) {
  const target = child.matches('[tabindex]') ? child : child.querySelector('button:not([hidden]), [tabindex]');
  if (target) target.focus();
}

// setFacts fills a <dl> with [label, text, class]; a fact without text is left out.
export function setFacts(list, facts) {
  patchList(list, facts.filter(([, text]) => text), ([label]) => label,
    ([label]) => {
      const pair = element('div');
      pair.append(element('dt', label), element('dd'));
      return pair;
    },
    (pair, [, text, className]) => {
      setText(pair.lastChild, text);
      setAttribute(pair, 'class', className || '');
    });
}

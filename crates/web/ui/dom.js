// Builds DOM nodes. Text only ever becomes text nodes: nothing from a server is parsed as HTML anywhere on the page.

const SVG = 'http://www.w3.org/2000/svg';

function fill(node, props, children) {
  for (const [key, value] of Object.entries(props || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith('on')) node.addEventListener(key.slice(2), value);
    else if (key === 'class') node.setAttribute('class', value);
    else if (key === 'value') node.value = value;
    else if (key === 'checked') node.checked = Boolean(value);
    else if (key === 'style') Object.assign(node.style, value);
    else node.setAttribute(key, value === true ? '' : String(value));
  }
  append(node, children);
  return node;
}

function append(node, children) {
  for (const child of children.flat(3)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : String(child));
  }
}

/** An HTML element: h('p', {class: 'x', onclick: f}, 'text', node, [nodes]). */
export function h(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** The same for SVG. */
export function s(tag, props, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

/** Replaces what `node` holds. */
export function put(node, ...children) {
  node.replaceChildren();
  append(node, children);
  return node;
}

/** Sets text only where it differs, so that selections and layout survive updates. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** A link inside the dashboard: the router takes it. */
export function link(href, props, ...children) {
  return h('a', { ...props, href, 'data-link': true }, ...children);
}

/** Redraws `node` only when `key` differs from the last time: focus, selection and layout survive. */
export function keep(node, key, make) {
  if (node.kept === key) return;
  node.kept = key;
  put(node, make());
}

/** A row of buttons of which one is pressed: `choices` are [value, label]. Answers {node, draw(value, labels?)}. */
export function segments(name, choices, chosen) {
  const buttons = choices.map(([value, label]) => h('button', { type: 'button', 'data-value': String(value), onclick: () => chosen(value) }, label));
  const draw = (value, labels) => buttons.forEach((b, i) => {
    b.setAttribute('aria-pressed', String(choices[i][0] === value));
    if (labels) setText(b, labels[i]);
  });
  return { node: h('div', { class: 'seg', role: 'group', 'aria-label': name }, buttons), draw };
}

let toasts = null;
/** A short message at the corner; kind is 'good', 'warn' or 'bad'. */
export function toast(text, kind = 'good') {
  if (!toasts) document.body.append(toasts = h('div', { class: 'toasts', role: 'status', 'aria-live': 'polite' }));
  const node = h('div', { class: `toast ${kind}` }, text);
  toasts.append(node);
  setTimeout(() => node.remove(), kind === 'good' ? 4500 : 9000);
}

/** A form in a dialog; resolves to whether it was sent. */
export function dialog(title, body, action) {
  return new Promise((resolve) => {
    const done = (answer) => { node.close(); node.remove(); resolve(answer); };
    const node = h('dialog', { 'aria-label': title, oncancel: () => done(false) },
      h('form', { class: 'inner', onsubmit: (e) => { e.preventDefault(); done(true); } }, h('h2', {}, title), body,
        h('div', { class: 'actions' },
          h('button', { class: 'btn', type: 'button', onclick: () => done(false) }, 'Cancel'),
          h('button', { class: 'btn primary', type: 'submit' }, action))));
    document.body.append(node);
    node.showModal();
  });
}

/** Asks; resolves to true or false. The dangerous button says what it does. */
export function ask(title, text, action, danger = true) {
  return new Promise((resolve) => {
    const done = (answer) => { dialog.close(); dialog.remove(); resolve(answer); };
    const dialog = h('dialog', { 'aria-label': title, oncancel: () => done(false) },
      h('div', { class: 'inner' }, h('h2', {}, title), h('p', { class: 'muted wrap' }, text),
        h('div', { class: 'actions' },
          h('button', { class: 'btn', type: 'button', onclick: () => done(false) }, 'Cancel'),
          h('button', { class: danger ? 'btn danger solid' : 'btn primary', type: 'button', onclick: () => done(true) }, action))));
    document.body.append(dialog);
    dialog.showModal();
  });
}

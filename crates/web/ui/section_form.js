// A form for one section of the configuration, or for one item of a list, made from the server's description of its keys.

import { h, put, toast } from './dom.js';
import { input, place, problemList } from './form.js';

/** What was saved and takes effect only after a restart. */
export const tell = (notes) => notes.forEach((note) => toast(note, 'warn'));

/**
 * {node, values(), fail(error)}. `buttons` are [label, class, busy label, f(values)]; `first` are the keys that are shown at once,
 * the others are folded away.
 */
export function sectionForm({ fields, values = {}, first = null, buttons = [], extra = null }) {
  const inputs = fields.map((f) => input(f, values?.[f.key]));
  const shown = inputs.filter((i) => !first || first.includes(i.key) || fields.find((f) => f.key === i.key).required);
  const folded = inputs.filter((i) => !shown.includes(i));
  const out = h('div', { role: 'status' });
  const read = () => Object.fromEntries(inputs.map((i) => [i.key, i.read()]).filter(([, v]) => v !== null));
  const say = (kind, words) => put(out, h('div', { class: `notice ${kind}` }, words));
  const fail = (e) => {
    const left = place(e.problems || [], inputs);
    put(out, h('div', { class: 'notice bad', role: 'alert' }, e.problems?.length ? (left.length ? problemList(left) : 'Some fields need attention.') : e.message));
    const wrong = node.querySelector('.field.wrong');
    wrong?.closest('details')?.setAttribute('open', '');
    wrong?.scrollIntoView({ block: 'center' });
  };
  const act = (button, busy, f) => async (e) => {
    e?.preventDefault();
    const before = button.textContent;
    button.disabled = true;
    button.textContent = busy;
    place([], inputs);
    put(out);
    try { await f(read(), say); } catch (error) { fail(error); }
    button.textContent = before;
    button.disabled = false;
  };
  const row = buttons.filter(Boolean).map(([label, kind, busy, f], at) => {
    const button = h('button', { class: `btn ${kind}`, type: at ? 'button' : 'submit' }, label);
    const run = act(button, busy, f);
    if (at) button.onclick = run; else button.run = run;
    return button;
  });
  const node = h('form', { class: 'form', novalidate: true, onsubmit: (e) => { e.preventDefault(); row[0]?.run(); } },
    h('div', { class: 'grid2' }, shown.map((i) => i.node)),
    folded.length ? h('details', { class: 'more' }, h('summary', {}, 'More settings'), h('div', { class: 'grid2' }, folded.map((i) => i.node))) : null,
    extra, out, row.length ? h('div', { class: 'row' }, row) : null);
  return { node, values: read, fail, say, inputs };
}

// What people may set of a service: a card with the values in effect, and the dialog that changes them. Both are made from the JSON
// Schema that the server gives; it checks every value again before anything is touched.

import { get, may, patch } from './api.js';
import { h, put, setText } from './dom.js';
import { input, place, prose, problemList } from './form.js';
import { NONE } from './format.js';
import { now, subscribe } from './live.js';
import { runs } from './service_parts.js';

const MUST = { read_folder: 'A folder that can be read.', write_folder: 'A folder that can be written to.', file_in_folder: 'A file by its whole path; its folder must exist.' };
// Bounds beyond this say "any".
const NO_BOUND = 2 ** 53;
const SHORT_KEYS = 8;

const keysOf = ({ schema, order }) => (order || Object.keys(schema.properties)).filter((key) => schema.properties[key]);
const same = (a, b) => JSON.stringify(a ?? null) === JSON.stringify(b ?? null);

/** What a property may hold, in words. */
function hints(p, isSet) {
  const bound = (x) => (x === undefined || x === null || Math.abs(x) >= NO_BOUND ? null : x);
  const [min, max] = [bound(p.minimum), bound(p.maximum)];
  return [p.description, p.format === 'path' ? MUST[p['x-must']] : null,
    min !== null && max !== null ? `${min} to ${max}.` : min !== null ? `At least ${min}.` : max !== null ? `At most ${max}.` : null,
    p.writeOnly ? (isSet ? 'It is set. Leave it empty to keep it.' : 'It is not set.') : null].filter(Boolean).map((t) => (/[.!?]$/.test(t) ? t : `${t}.`)).join(' ');
}

/** The description of an input for a property of the schema. */
function field(key, p, required, isSet) {
  const type = p.enum ? 'choice' : p.writeOnly ? 'secret' : p.type === 'boolean' ? 'bool' : p.type === 'integer' || p.type === 'number' ? p.type : 'text';
  return { key, title: p.title || key, type, choices: p.enum, required: required && !isSet, default: p.writeOnly ? null : p.default, hint: p.writeOnly && isSet ? 'set, leave empty to keep' : null, doc: hints(p, isSet) };
}

/** What changed: only these keys are sent. Null puts the default in place. */
function changes(inputs, view) {
  const body = {};
  for (const i of inputs) {
    const value = i.read();
    if (view.schema.properties[i.key].writeOnly) { if (value !== null) body[i.key] = value; else if (i.clear?.checked) body[i.key] = null; } else if (!same(value, view.values[i.key])) body[i.key] = value;
  }
  return body;
}

/** Opens the dialog; resolves when it is closed. */
export function configure(s) {
  return new Promise((resolve) => { open(s, resolve); });
}

async function open(s, closed) {
  const path = `/services/${encodeURIComponent(s.id)}/form`;
  const title = `Configure ${s.name}`;
  const out = h('div', { role: 'status' });
  const body = h('div', { class: 'fields' }, h('p', { class: 'muted' }, 'Loading …'));
  const save = h('button', { class: 'btn primary', type: 'submit', disabled: true }, 'Save & apply');
  const cancel = h('button', { class: 'btn', type: 'button' }, 'Cancel');
  let stop = () => {};
  const done = () => { stop(); node.close(); node.remove(); closed(); };
  const node = h('dialog', { class: 'configure', 'aria-label': title, oncancel: done },
    h('form', { class: 'inner', novalidate: true, onsubmit: (e) => { e.preventDefault(); submit(); } }, h('h2', { class: 'wrap' }, title), body, out, h('div', { class: 'actions' }, cancel, save)));
  cancel.onclick = done;
  document.body.append(node);
  node.showModal();
  let [view, inputs] = [null, []];

  const draw = () => {
    inputs = keysOf(view).map((key) => {
      const p = view.schema.properties[key];
      const isSet = view.secrets_set.includes(key);
      const required = (view.schema.required || []).includes(key);
      const i = input(field(key, p, required, isSet), view.values[key]);
      if (p.writeOnly && isSet && !required) {
        i.clear = h('input', { type: 'checkbox' });
        i.node.append(h('label', { class: 'check' }, i.clear, 'Take it out'));
      }
      return i;
    });
    put(body, h('div', { class: 'grid2' }, inputs.map((i) => i.node)));
  };
  const fail = (e) => {
    const left = place(e.problems || [], inputs);
    put(out, h('div', { class: 'notice bad', role: 'alert' }, e.problems?.length ? ['Nothing was changed. ', left.length ? problemList(left) : 'Some fields need attention.'] : e.message));
    const wrong = node.querySelector('.field.wrong');
    wrong?.scrollIntoView({ block: 'center' });
    wrong?.querySelector('.input')?.focus({ preventScroll: true });
  };
  async function submit() {
    if (save.disabled) return;
    place([], inputs);
    put(out);
    const body = changes(inputs, view);
    if (!Object.keys(body).length) return put(out, h('div', { class: 'notice' }, 'Nothing was changed.'));
    save.disabled = true;
    setText(save, 'Saving …');
    try {
      const ran = runs(now.services.get(s.id) || s);
      const before = view.note;
      view = await patch(path, body);
      const wantedValues = view.values;
      if (!ran) finish('good', 'Saved. It takes effect when the service is started.');
      else {
        put(out, h('div', { class: 'notice' }, 'Saved. The service is being restarted with it …'));
        setText(cancel, 'Close');
        stop = outcome(s.id, path, before, wantedValues, finish);
      }
    } catch (e) { fail(e); }
    setText(save, 'Save & apply');
    save.disabled = false;
  }
  /** Says what came of it, and shows the values that are in effect now. */
  function finish(kind, words, fresh) {
    stop();
    if (fresh) view = fresh;
    draw();
    put(out, h('div', { class: `notice ${kind}`, role: kind === 'bad' ? 'alert' : null }, words));
    setText(cancel, 'Close');
  }
  try {
    view = await get(path);
    draw();
    if (view.note) put(out, h('div', { class: 'notice' }, view.note));
    save.disabled = false;
    inputs[0]?.control.focus();
  } catch (e) { put(body); fail(e); }
}

/** Watches a service that is being restarted until it came up or has its last good values back; answers how to stop. */
function outcome(id, path, before, wanted, tell) {
  let busy = false;
  let again = false;
  let over = false;
  const look = async () => {
    if (busy) { again = true; return; }
    busy = true;
    try {
      const view = await get(path);
      const s = now.services.get(id);
      if (!over && !same(view.values, wanted)) { over = true; tell('bad', view.note || 'It did not come up with these values: the last good ones are back.', view); }
      else if (!over && !view.pending && s && (s.state === 'running' || s.state === 'finished')) { over = true; tell('good', view.note && view.note !== before ? view.note : 'Saved, and the service runs with it.', view); }
      else if (!over && s?.state === 'failed') { over = true; tell('bad', view.note || s.reason, view); }
    } catch { /* the next change of the service asks again */ }
    busy = false;
    if (again) { again = false; look(); }
  };
  const unsubscribe = subscribe((what, ids) => { if (!over && what === 'services' && (!ids || ids.has(id))) look(); });
  look();
  return () => { over = true; unsubscribe(); };
}

/** The card with the values in effect: {node, refresh(), destroy()}. */
export function formCard(id) {
  const [facts, note, all] = [h('dl', { class: 'facts' }), h('div', { class: 'notice', hidden: true }), h('button', { class: 'btn small quiet', type: 'button', hidden: true })];
  let [view, open] = [null, false];
  const button = may('administrator') ? h('button', { class: 'btn small', type: 'button', onclick: () => configure(now.services.get(id)).then(refresh) }, 'Configure') : null;
  const shown = (key) => {
    const p = view.schema.properties[key];
    if (p.writeOnly) return view.secrets_set.includes(key) ? 'set' : 'not set';
    const v = view.values[key];
    return v === undefined || v === null ? NONE : v === true ? 'yes' : v === false ? 'no' : String(v);
  };
  const draw = () => {
    const keys = keysOf(view);
    put(facts, keys.slice(0, open ? keys.length : SHORT_KEYS).map((key) => [h('dt', {}, view.schema.properties[key].title || key), h('dd', { class: view.schema.properties[key].format === 'path' ? 'mono' : null }, shown(key))]));
    all.hidden = keys.length <= SHORT_KEYS;
    setText(all, open ? 'Fewer' : `All ${keys.length}`);
    note.hidden = !view.note && !view.pending;
    put(note, prose([view.note, view.pending ? 'The run under way was launched with other values.' : ''].filter(Boolean).join(' ')));
  };
  all.onclick = () => { open = !open; draw(); };
  async function refresh() {
    try { view = await get(`/services/${encodeURIComponent(id)}/form`); draw(); } catch (e) { put(facts, h('dd', {}, `The configuration could not be read: ${e.message}`)); }
  }
  return { node: h('section', { class: 'card', 'aria-label': 'Configuration' }, h('header', {}, h('h2', {}, 'Configuration'), h('div', { class: 'tools' }, button)), h('div', { class: 'body stack' }, note, facts, all)), refresh };
}

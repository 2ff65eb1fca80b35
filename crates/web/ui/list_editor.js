// A list of named items of the configuration file (rules, channels, planned work): shown in rows, added, edited and taken out by
// form. The file stays the truth; its comments stay.

import { del, get, may, post, put as putApi } from './api.js';
import { ask, h, put, toast } from './dom.js';
import { prose } from './form.js';
import { sectionForm, tell } from './section_form.js';

/**
 * {node, load()}. `cells(item)` are the cells of a row after its name, `columns` their headings, `tools(item)` further buttons;
 * `one` is what an item is called ("rule"), `first` the keys that a form shows at once, `empty` what to say of an empty list.
 */
export function listEditor({ section, title, one, first, columns = [], cells = () => [], tools = () => [], empty, note = null, changed = () => {} }) {
  const body = h('tbody');
  const table = h('div', { class: 'scroll-x' }, h('table', { class: 'table flow' }, h('thead', {}, h('tr', {}, h('th', {}, 'Name'), columns.map((c) => h('th', {}, c)), h('th', {}))), body));
  const nothing = h('p', { class: 'empty', hidden: true }, empty);
  const place = h('div');
  const admin = may('administrator');
  let description = null;
  const path = (name) => `/sections/${section}/items/${encodeURIComponent(name)}`;

  const done = async (saved, words) => {
    toast(words);
    tell(saved.notes);
    put(place);
    await load();
    changed();
  };
  const open = (item, values = item) => {
    const kind = description.kinds?.length ? values?.kind || '' : null;
    const common = description.fields.map((f) => (f.key === 'kind' && kind !== null ? { ...f, type: 'choice', choices: description.kinds.map((k) => k.name), empty: 'Choose a kind' } : f));
    const more = description.kinds?.find((k) => k.name === kind);
    const save = async (read) => {
      const saved = item ? await putApi(path(item.name), read) : await post(`/sections/${section}/items`, read);
      await done(saved, `The ${one} ${read.name} is saved and in effect`);
    };
    const form = sectionForm({
      fields: [...common, ...(more?.fields || [])],
      values,
      first: [...first, ...(more?.fields || []).filter((f) => f.required).map((f) => f.key), ...(more ? ['url', 'token', 'user', 'username', 'password', 'topic', 'to', 'from', 'host'] : [])],
      buttons: [['Save and apply', 'primary', 'Saving …', save], ['Cancel', 'quiet', '…', async () => put(place)]],
    });
    // Another kind has other keys; what was typed stays.
    const chosen = form.inputs.find((i) => i.key === 'kind');
    if (kind !== null && chosen) chosen.control.onchange = () => open(item, { ...values, ...form.values(), kind: chosen.control.value });
    put(place, h('section', { class: 'card inner' }, h('header', {}, h('h3', {}, item ? `Edit the ${one} ${item.name}` : `Add a ${one}`)), h('div', { class: 'body stack' }, h('p', { class: 'muted' }, prose((more || description).summary)), form.node)));
    place.scrollIntoView({ block: 'nearest' });
    form.inputs[0]?.control.focus();
  };
  const remove = async (item) => {
    if (!(await ask(`Remove ${item.name}`, `The ${one} ${item.name} is taken out of the configuration file.`, 'Remove'))) return;
    try { await done(await del(path(item.name)), `The ${one} ${item.name} is gone`); } catch (e) { toast(e.message, 'bad'); }
  };
  const row = (item) => h('tr', {}, h('td', {}, h('b', {}, item.name)), cells(item).map((c, at) => h('td', { class: 'wrap', 'data-label': columns[at] }, c)),
    h('td', { class: 'nowrap end' }, h('span', { class: 'row' }, tools(item),
      admin ? h('button', { class: 'btn small', type: 'button', onclick: () => open(item) }, 'Edit') : null,
      admin ? h('button', { class: 'btn small danger', type: 'button', onclick: () => remove(item) }, 'Remove') : null)));

  let items = [];
  const draw = () => {
    put(body, items.map(row));
    nothing.hidden = items.length > 0;
    table.hidden = items.length === 0;
  };
  async function load() {
    try {
      description = await get(`/sections/${section}`);
      items = (Array.isArray(description.values) ? description.values : []).filter((i) => i && i.name !== undefined).map((i) => ({ ...i, name: String(i.name) }));
      draw();
    } catch (e) { nothing.hidden = false; put(nothing, e.message); }
  }
  load();
  const add = admin ? h('button', { class: 'btn small primary', type: 'button', onclick: () => description && open(null, {}) }, `Add a ${one}`) : null;
  const node = h('section', { class: 'card', id: `list-${section.replace('.', '-')}` }, h('header', {}, h('h2', {}, title), h('div', { class: 'tools' }, add)), note ? h('div', { class: 'body' }, h('p', { class: 'muted' }, note)) : null, nothing, table, place);
  return { node, load, draw };
}

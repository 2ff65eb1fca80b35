// Add a stream by pasting its URL, or edit one. "Test now" looks at it before anything is saved.

import { get, patch, post } from './api.js';
import { h, link, put, toast } from './dom.js';
import { input, place, problemList } from './form.js';
import { brief, factPairs, millis, phaseName, track } from './format.js';

const FIRST = ['url', 'name', 'kind', 'group', 'tags'];
const HIDDEN = ['id', 'template'];

const guess = (kinds, url) => {
  const scheme = /^([a-z0-9+.-]+):\/\//i.exec(url)?.[1]?.toLowerCase();
  return kinds.filter((k) => k.schemes.includes(scheme));
};

/** A first name for a URL: its host and the end of its path. */
function suggest(text) {
  const parts = /^[a-z0-9+.-]+:\/\/(?:[^@/?#]*@)?(\[[^\]]+\]|[^:/?#]+)[^/?#]*([^?#]*)/i.exec(text);
  return parts ? [parts[1], parts[2].split('/').filter(Boolean).pop()].filter(Boolean).join(' ').slice(0, 60) : '';
}

function result(look) {
  const grade = { pass: 'good', warn: 'warn', fail: 'bad' }[look.grade];
  return h('div', { class: 'stack' },
    h('div', { class: `notice ${grade}`, role: 'status' }, look.grade === 'pass' ? `It works: ${look.tracks.map(track).join(', ') || brief(look) || 'it answered'} in ${millis(look.took_ms)}.` : look.reasons.map((r) => r.text).join('; ')),
    h('p', { class: 'muted' }, Object.entries(look.phases_ms).map(([p, ms]) => `${phaseName(p)} ${millis(ms)}`).join(' · ')),
    Object.keys(look.facts).length ? h('dl', { class: 'facts' }, factPairs(look.facts).flatMap(([k, v]) => [h('dt', {}, k), h('dd', {}, v)])) : null);
}

function build(node, description, target, go) {
  const old = target?.config || {};
  const inputs = [];
  const make = (fields, values) => fields.map((f) => { const i = input(f, values?.[f.key]); inputs.push(i); return i; });
  const common = description.common.filter((f) => !HIDDEN.includes(f.key));
  const kindField = { ...common.find((f) => f.key === 'kind'), type: 'choice', choices: description.kinds.map((k) => k.name), empty: 'Guessed from the URL' };
  const first = make(FIRST.map((key) => (key === 'kind' ? kindField : common.find((f) => f.key === key))).filter(Boolean), old);
  const rest = make(common.filter((f) => !FIRST.includes(f.key) && f.type !== 'section'), old);
  const expect = description.expect.map((f) => input(f, old.expect?.[f.key]));
  const ofKind = new Map();
  const kindBox = h('div');
  const of = (key) => first.find((i) => i.key === key);
  const kindName = () => of('kind').control.value || (target && of('url').control.value.trim() === old.url ? target.kind : guess(description.kinds, of('url').control.value.trim())[0]?.name) || '';
  const kindInputs = () => ofKind.get(kindName()) || [];
  const drawKind = () => {
    const kind = description.kinds.find((k) => k.name === kindName());
    if (kind && !ofKind.has(kind.name)) ofKind.set(kind.name, kind.fields.map((f) => input(f, target?.kind === kind.name ? old[f.key] : undefined)));
    put(kindBox, kind ? [h('h3', {}, `Settings of ${kind.name}`), h('p', { class: 'muted' }, kind.summary), h('div', { class: 'grid2' }, kindInputs().map((i) => i.node))] : h('p', { class: 'muted' }, 'Give the URL first; the settings of its kind appear here.'));
  };
  // A pasted URL names the stream until somebody names it better.
  let suggested = '';
  of('url').control.addEventListener('input', () => {
    drawKind();
    const name = of('name').control;
    if (!target && name.value === suggested) name.value = suggested = suggest(of('url').control.value.trim());
  });
  of('kind').control.addEventListener('change', drawKind);
  drawKind();

  const values = (full) => {
    const body = {};
    for (const i of [...inputs, ...kindInputs()]) {
      const v = i.read();
      const before = old[i.key];
      if (v === null) { if (!full && before !== undefined && before !== null) body[i.key] = null; } else if (full || JSON.stringify(v) !== JSON.stringify(before)) body[i.key] = v;
    }
    const e = Object.fromEntries(expect.map((i) => [i.key, i.read()]).filter(([, v]) => v !== null));
    if (full ? Object.keys(e).length : JSON.stringify(e) !== JSON.stringify(old.expect || {})) body.expect = Object.keys(e).length ? e : null;
    return body;
  };
  const out = h('div');
  const fail = (e) => {
    const left = place(e.problems || [], [...inputs, ...expect, ...kindInputs()]);
    put(out, e.problems?.length ? (left.length ? h('div', { class: 'notice bad' }, problemList(left)) : h('div', { class: 'notice bad' }, 'Some fields need attention.')) : h('div', { class: 'notice bad', role: 'alert' }, e.message));
    node.querySelector('.field.wrong')?.closest('details')?.setAttribute('open', '');
    node.querySelector('.field.wrong')?.scrollIntoView({ block: 'center' });
  };
  const busy = (button, label, f) => async () => {
    button.disabled = true;
    const before = button.textContent;
    button.textContent = label;
    place([], [...inputs, ...expect, ...kindInputs()]);
    try { await f(); } catch (e) { fail(e); }
    button.textContent = before;
    button.disabled = false;
  };
  const test = h('button', { class: 'btn', type: 'button' }, 'Test now');
  test.onclick = busy(test, 'Looking …', async () => { put(out); put(out, result(await post('/try', { ...values(true), ...(target ? { id: target.id } : {}) }))); });
  const save = h('button', { class: 'btn primary', type: 'submit' }, target ? 'Save' : 'Add stream');
  const submit = busy(save, 'Saving …', async () => {
    const body = values(!target);
    const saved = target ? (Object.keys(body).length ? await patch(`/targets/${encodeURIComponent(target.id)}`, body) : target) : await post('/targets', body);
    toast(`${saved.name} is saved`);
    go(`/streams/${encodeURIComponent(saved.id)}`);
  });
  const form = h('form', { class: 'form', novalidate: true, onsubmit: (e) => { e.preventDefault(); submit(); } },
    of('url').node, h('div', { class: 'grid2' }, first.filter((i) => i.key !== 'url').map((i) => i.node)),
    h('details', { class: 'more' }, h('summary', {}, 'Cadence and thresholds'), h('div', { class: 'grid2' }, rest.map((i) => i.node))),
    h('details', { class: 'more' }, h('summary', {}, 'Expectations'), h('div', { class: 'grid2' }, expect.map((i) => i.node))),
    h('details', { class: 'more' }, h('summary', {}, 'Settings of its kind'), kindBox),
    out, h('div', { class: 'row' }, save, test, link(target ? `/streams/${encodeURIComponent(target.id)}` : '/', { class: 'btn quiet' }, 'Cancel')));
  put(node, h('section', { class: 'card narrow' }, h('div', { class: 'body' }, form)));
  if (!target) of('url').control.focus();
}

export function make({ id: rawId, go }) {
  const id = rawId && decodeURIComponent(rawId);
  const body = h('div', {}, h('p', { class: 'muted' }, 'Loading …'));
  (async () => {
    try {
      const [description, target] = await Promise.all([get('/kinds'), id ? get(`/targets/${encodeURIComponent(id)}`) : null]);
      build(body, description, target, go);
    } catch (e) { put(body, h('div', { class: 'notice bad' }, e.message)); }
  })();
  return { title: id ? 'Edit stream' : 'Add stream', node: h('div', { class: 'stack' }, h('h1', {}, id ? 'Edit stream' : 'Add stream'), body) };
}

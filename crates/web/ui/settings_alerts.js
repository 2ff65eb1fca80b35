// Settings: what people are told of (rules), and through which channels.

import { del, get, may, post, put as putApi, query } from './api.js';
import { h, put, toast } from './dom.js';
import { dateTime, number } from './format.js';
import { listEditor } from './list_editor.js';
import { sectionForm, tell } from './section_form.js';
import { pill } from './settings_sinks.js';

const STATE_MS = 2000;
const MESSAGES = 50;

const list = (value) => (Array.isArray(value) ? value.join(', ') : value ?? '');

/** When a rule is bad, in words. */
function when(r) {
  if (r.status) return `status is ${list(r.status)}`;
  if (r.fault) return `fault is ${list(r.fault)}`;
  const bounds = () => [r.above !== undefined ? `above ${number(r.above)}` : null, r.below !== undefined ? `below ${number(r.below)}` : null].filter(Boolean).join(' or ');
  if (r.reading) return `${r.reading} ${bounds()}`;
  if (r.service) return `service is ${list(r.service).replaceAll('_', ' ')}`;
  if (r.service_reading) return `${r.service_reading} of a service ${bounds()}`;
  if (r.certificate) return `certificate ends within ${r.certificate}`;
  if (r.sink) return `sink ${list(r.sink)} does not work`;
  if (r.own) return `StreamPulse itself is unwell: ${list(r.own)}`;
  return '';
}

/** For which targets, in words. */
export function scope(r) {
  if (r.service || r.service_reading) return r.services ? list(r.services) : 'all services';
  const some = [r.targets ? list(r.targets) : null, r.groups ? `group ${list(r.groups)}` : null, r.tags ? `tag ${list(r.tags)}` : null].filter(Boolean);
  const not = [list(r.except_targets), r.except_groups ? `group ${list(r.except_groups)}` : '', r.except_tags ? `tag ${list(r.except_tags)}` : ''].filter(Boolean);
  return `${some.length ? some.join('; ') : 'all streams'}${not.length ? ` except ${not.join('; ')}` : ''}`;
}

export const severityPill = (word = 'warning') => h('span', { class: `pill sev-${word}` }, word);

/** One section of the file as a card with a form. */
function sectionCard(name, title, note) {
  const box = h('div', {}, h('p', { class: 'muted' }, 'Loading …'));
  const load = async () => {
    try {
      const s = await get(`/sections/${name}`);
      const save = async (values) => {
        const done = await putApi(`/sections/${name}`, values);
        toast(`${title} is saved and in effect`);
        tell(done.notes);
        await load();
      };
      const form = sectionForm({ fields: s.fields, values: s.values || {}, buttons: may('administrator') ? [['Save and apply', 'primary', 'Saving …', save]] : [] });
      if (!may('administrator')) for (const i of form.inputs) i.control.disabled = true;
      put(box, form.node);
    } catch (e) { put(box, h('div', { class: 'notice bad' }, e.message)); }
  };
  load();
  return h('section', { class: 'card' }, h('header', {}, h('h2', {}, title)), h('div', { class: 'body stack' }, h('p', { class: 'muted' }, note), h('details', { class: 'more' }, h('summary', {}, 'Settings'), box)));
}

export function rules() {
  const editor = listEditor({
    section: 'alerts.rules',
    title: 'Rules',
    one: 'rule',
    first: ['name', 'status', 'fault', 'reading', 'above', 'below', 'severity', 'for', 'targets', 'groups', 'tags', 'channels'],
    columns: ['Bad when', 'For', 'Severity', 'After', 'Told to'],
    cells: (r) => [when(r), scope(r), severityPill(r.severity), r.for || 'at once', list(r.channels) || 'the usual channels'],
    note: 'Each rule has one condition: a status, a fault, a reading beyond a bound, a certificate, a sink, or a part of StreamPulse itself.',
    empty: 'There are no rules of your own. As soon as there is a channel, these are in effect: a stream is down (critical), a certificate ends within 14 days (warning), a part of StreamPulse is unwell (critical).',
  });
  return {
    node: h('div', { class: 'stack' }, editor.node,
      sectionCard('alerts', 'How people are told', 'Which channels are usual, how long messages wait for others, and when changes count as flapping.'),
      sectionCard('connectivity', 'Our own network', 'While all of these are down, StreamPulse has no network itself and blames no stream.')),
  };
}

function outbox(changed) {
  const body = h('tbody');
  const nothing = h('p', { class: 'empty' }, 'Nothing was given up.');
  const more = h('button', { class: 'btn', type: 'button', hidden: true }, 'Older');
  const which = h('select', { class: 'input small', 'aria-label': 'Which messages' }, [['dead', 'Given up'], ['waiting', 'Waiting'], ['sent', 'Delivered']].map(([v, l]) => h('option', { value: v }, l)));
  const words = { dead: 'Nothing was given up.', waiting: 'Nothing waits.', sent: 'Nothing was delivered yet.' };
  let next = null;
  const act = (f, said) => async () => {
    try { await f(); toast(said); } catch (e) { toast(e.message, 'bad'); }
    await load(true);
    changed();
  };
  const row = (m) => h('tr', {}, h('td', { class: 'nowrap' }, dateTime(m.created_at)), h('td', {}, m.channel), h('td', { class: 'wrap' }, m.title || 'cannot be read any more'),
    h('td', { class: 'wrap' }, m.error || '', m.next_at ? h('span', { class: 'muted' }, ` next attempt ${dateTime(m.next_at)}`) : null, m.done_at && m.state === 'sent' ? dateTime(m.done_at) : null),
    h('td', { class: 'nowrap end' }, m.state === 'dead' && may('operator') ? h('span', { class: 'row' },
      h('button', { class: 'btn small', type: 'button', onclick: act(() => post(`/outbox/${m.row}/retry`), 'It is tried again') }, 'Try again'),
      h('button', { class: 'btn small quiet', type: 'button', onclick: act(() => del(`/outbox/${m.row}`), 'Forgotten') }, 'Forget')) : null));
  async function load(fresh) {
    try {
      const page = await get(`/outbox${query({ state: which.value, limit: MESSAGES, before: fresh ? null : next })}`);
      const rows = page.messages.map(row);
      fresh ? put(body, rows) : body.append(...rows);
      next = page.next;
      more.hidden = next === null;
      nothing.hidden = body.children.length > 0;
      table.hidden = !nothing.hidden;
      put(nothing, words[which.value]);
    } catch (e) { put(body); nothing.hidden = false; put(nothing, e.message); }
  }
  which.onchange = () => load(true);
  more.onclick = () => load(false);
  load(true);
  const table = h('div', { class: 'scroll-x' }, h('table', { class: 'table flow' }, h('thead', {}, h('tr', {}, h('th', {}, 'Since'), h('th', {}, 'Channel'), h('th', {}, 'Message'), h('th', {}, 'What happened'), h('th', {}))), body));
  const node = h('section', { class: 'card', id: 'outbox' }, h('header', {}, h('h2', {}, 'Messages'), h('div', { class: 'tools' }, which)), nothing, table, more);
  return { node, load: () => load(true) };
}

export function channels() {
  let states = new Map();
  const test = (c) => async (e) => {
    const button = e.currentTarget;
    button.disabled = true;
    button.textContent = 'Sending …';
    try {
      const done = await post(`/channels/${encodeURIComponent(c.name)}/test`);
      toast(`${c.name}: ${done.words}`, done.ok ? 'good' : 'bad');
    } catch (error) { toast(error.message, 'bad'); }
    await draw();
    editor.draw();
  };
  const state = (c) => {
    const s = states.get(c.name);
    if (!s) return h('span', { class: 'muted' }, 'not in effect');
    if (!s.enabled) return h('span', { class: 'pill paused' }, 'switched off');
    return [pill(s.now), s.now.ok === false && s.now.error ? h('div', { class: 'muted wrap' }, s.now.error) : null];
  };
  const counts = (c) => {
    const s = states.get(c.name);
    return s ? [s.now.last_sent ? dateTime(s.now.last_sent) : 'none yet', s.waiting ? `, ${s.waiting} waiting` : '', s.dead ? `, ${s.dead} given up` : ''] : '';
  };
  const editor = listEditor({
    section: 'channels',
    title: 'Channels',
    one: 'channel',
    first: ['name', 'kind'],
    columns: ['Kind', 'State', 'Last delivery'],
    cells: (c) => [c.kind, state(c), counts(c)],
    tools: (c) => (may('operator') && states.has(c.name) ? h('button', { class: 'btn small', type: 'button', onclick: test(c) }, 'Test') : null),
    note: 'Ways by which people are told of alerts. Messages are kept until the receiver has taken them; a restart loses none.',
    empty: 'There is no channel yet: nobody is told of anything.',
    changed: () => draw().then(() => editor.draw()),
  });
  const messages = outbox(() => draw().then(() => editor.draw()));
  let last = '';
  async function draw() {
    try {
      const text = await get('/channels');
      states = new Map(text.channels.map((c) => [c.name, c]));
      const key = JSON.stringify(text);
      if (key !== last) { last = key; editor.draw(); messages.load(); }
    } catch { /* the next round tells */ }
  }
  draw();
  const timer = setInterval(() => { if (document.visibilityState === 'visible') draw(); }, STATE_MS);
  return { node: h('div', { class: 'stack' }, editor.node, messages.node), destroy: () => clearInterval(timer) };
}

// Settings: where StreamPulse writes to by itself. Each sink has how it is now, and a form for its section of the file.

import { del, get, may, post, put as putApi } from './api.js';
import { ask, h, keep, put, toast } from './dom.js';
import { count, dateTime } from './format.js';
import { prose } from './form.js';
import { sectionForm, tell } from './section_form.js';

// Name of the section, title, keys that are shown at once.
const SINKS = [
  ['influxdb', 'InfluxDB', ['url', 'version', 'database', 'username', 'password', 'org', 'bucket', 'token', 'interval']],
  ['mqtt', 'MQTT', ['enabled', 'host', 'port', 'use_tls', 'use_websocket', 'protocol', 'username', 'password', 'topic', 'interval_seconds', 'base_topic', 'discovery']],
];

const STATE_MS = 2000;

/** How a sink or channel is, in one word. */
export const pill = (s) => (!s || s.ok === null ? h('span', { class: 'pill unknown' }, 'not known yet') : s.ok ? h('span', { class: 'pill up' }, 'works') : h('span', { class: 'pill down' }, 'fails'));

function state(box, s) {
  keep(box, JSON.stringify(s || null), () => (s ? h('div', { class: 'stack' },
    h('dl', { class: 'facts' }, [
      ['Now', [pill(s), s.since ? ` since ${dateTime(s.since)}` : '']],
      ['Delivered', count(s.sent)],
      ['Waiting', count(s.queued)],
      ['Given up or replaced', count(s.dropped)],
      ['Failed attempts', count(s.failed)],
      ['Last delivery', s.last_sent ? dateTime(s.last_sent) : 'none yet'],
    ].flatMap(([k, v]) => [h('dt', {}, k), h('dd', {}, v)])),
    s.error ? h('div', { class: s.ok ? 'notice' : 'notice bad' }, s.ok ? 'Last error: ' : '', s.error) : null) : h('p', { class: 'muted' }, 'Not configured: nothing is written there.')));
}

function editor(name, title, first, boxes) {
  const now = h('div');
  const form = h('div', {}, h('p', { class: 'muted' }, 'Loading …'));
  const card = h('section', { class: 'card', id: `sink-${name}` }, h('header', {}, h('h2', {}, title)), h('div', { class: 'body stack' }, now, form));
  boxes.set(name, now);
  const load = async () => {
    let s;
    try { s = await get(`/sections/${name}`); } catch (e) { put(form, h('div', { class: 'notice bad' }, e.message)); return; }
    const save = async (values) => {
      const done = await putApi(`/sections/${name}`, values);
      toast(`${title} is saved and in effect`);
      tell(done.notes);
      await load();
    };
    const test = async (values, say) => {
      const done = await post('/sinks/test', { section: name, values });
      say(done.ok ? 'good' : 'bad', done.words);
    };
    const remove = async () => {
      if (!(await ask(`Remove ${title}`, `The section ${name} is taken out of the configuration file. Nothing is written there any more; what is there stays.`, 'Remove'))) return;
      tell((await del(`/sections/${name}`)).notes);
      await load();
    };
    const admin = may('administrator');
    const made = sectionForm({ fields: s.fields, values: s.values, first, buttons: admin ? [['Save and apply', 'primary', 'Saving …', save], ['Test', '', 'Writing …', test], s.values ? ['Remove', 'danger', 'Removing …', remove] : null] : [] });
    if (!admin) for (const i of made.inputs) i.control.disabled = true;
    put(form, h('details', { class: 'more', open: !s.values }, h('summary', {}, s.values ? 'Settings' : 'Set up'), h('div', { class: 'stack' }, h('p', { class: 'muted' }, prose(s.summary)), made.node)));
  };
  load();
  return card;
}

export function sinks() {
  const boxes = new Map();
  const cards = SINKS.map(([name, title, first]) => editor(name, title, first, boxes));
  const out = h('div');
  const draw = async () => {
    try {
      const { sinks: all } = await get('/sinks');
      put(out);
      for (const [name, box] of boxes) state(box, all.find((s) => s.name === name));
    } catch (e) { put(out, h('div', { class: 'notice bad' }, e.message)); }
  };
  draw();
  const timer = setInterval(() => { if (document.visibilityState === 'visible') draw(); }, STATE_MS);
  return { node: h('div', { class: 'stack' }, out, cards), destroy: () => clearInterval(timer) };
}

// Settings: time zone, configuration file, users, tokens, audit, and how StreamPulse itself is.

import { get, may, patch, put as putApi, post, session } from './api.js';
import { h, link, put, toast } from './dom.js';
import { problemList } from './form.js';
import { dateTime, PARTS, setTimezone, span, timezone } from './format.js';
import { now, subscribe } from './live.js';
import { audit, tokens, users } from './settings_people.js';
import { channels, rules } from './settings_alerts.js';
import { sinks } from './settings_sinks.js';

const card = (title, ...body) => h('section', { class: 'card' }, h('header', {}, h('h2', {}, title)), h('div', { class: 'body stack' }, body));

/** What was saved and takes effect only after a restart. */
const tell = (notes) => notes.forEach((note) => toast(note, 'warn'));

function zones(value, first) {
  const all = typeof Intl.supportedValuesOf === 'function' ? Intl.supportedValuesOf('timeZone') : [];
  const list = [...new Set(['UTC', value, ...all])].filter(Boolean).sort();
  const node = h('select', { class: 'input' }, first ? h('option', { value: '' }, first) : null, list.map((z) => h('option', { value: z }, z)));
  node.value = value || '';
  return node;
}

function general() {
  let own = null;
  try { own = localStorage.getItem('timezone'); } catch { /* storage denied */ }
  const mine = zones(own, `As the server: ${session.timezone}`);
  mine.onchange = () => { setTimezone(mine.value); toast(`Times are shown in ${timezone()}`); };
  const browser = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const useBrowser = h('button', { class: 'btn', type: 'button', onclick: () => { mine.value = browser; mine.onchange(); } }, `Use this browser's: ${browser}`);
  const node = h('div', { class: 'stack' }, card('Time zone', h('p', { class: 'muted' }, 'Times are stored in UTC. The zone is presentation only.'),
    h('div', { class: 'form' }, h('label', { class: 'field' }, h('span', { class: 'label' }, 'On this browser'), mine), h('div', {}, useBrowser))));
  if (may('administrator')) {
    const server = zones(session.timezone);
    const save = h('button', { class: 'btn primary', type: 'button', onclick: async () => {
      try { const done = await patch('/settings', { timezone: server.value }); session.timezone = server.value; toast(`The server's time zone is ${server.value}`); tell(done.notes); } catch (e) { toast(e.message, 'bad'); }
    } }, 'Save');
    node.firstChild.querySelector('.form').append(h('label', { class: 'field' }, h('span', { class: 'label' }, 'Of the server'), server, h('span', { class: 'help' }, 'Default for every browser; used by the CSV export and the 2.x routes. Written to the configuration file.')), h('div', {}, save));
  }
  node.append(healthCard());
  return { node };
}

function healthCard() {
  const box = h('div');
  const draw = async () => {
    try {
      const x = await get('/health');
      put(box, h('dl', { class: 'facts' }, [['Version', x.version], ['Running for', span(x.uptime_ms)], ['Streams', Object.entries(x.targets).map(([k, n]) => `${n} ${k}`).join(', ')],
        ...Object.entries(x.parts).map(([name, p]) => [PARTS[name] || name, p.ok ? h('span', { class: 'pill up' }, 'well') : h('span', {}, h('span', { class: 'pill down' }, 'unwell'), ` ${p.reason} since ${dateTime(p.since)}`)])].flatMap(([k, v]) => [h('dt', {}, k), h('dd', {}, v)])));
    } catch (e) { put(box, h('p', { class: 'notice bad' }, e.message)); }
  };
  draw();
  return card('How StreamPulse is', box);
}

function configuration() {
  const text = h('textarea', { class: 'input editor', spellcheck: 'false', 'aria-label': 'Configuration file', readonly: !may('administrator') });
  const out = h('div', { role: 'status' });
  const say = (content) => { put(out, content); out.scrollIntoView({ block: 'nearest' }); };
  const note = h('p', { class: 'muted' });
  let hash = null;
  let original = '';
  let told = null; // the change on disk that was told already
  const jump = (line) => {
    const lines = text.value.split('\n');
    const start = lines.slice(0, line - 1).reduce((n, l) => n + l.length + 1, 0);
    text.focus();
    text.setSelectionRange(start, start + (lines[line - 1] || '').length);
    text.scrollTop = Math.max(0, (line - 6) * parseFloat(getComputedStyle(text).lineHeight));
  };
  const problems = (list, title) => h('div', { class: 'notice bad' }, h('b', {}, title), problemList(list, jump));
  const load = async () => {
    try {
      const c = await get('/config');
      hash = c.hash;
      text.value = original = c.text;
      put(note, c.hash === c.in_effect_hash ? 'This file is in effect.' : 'This file is not in effect: what ran before goes on.', ' Passwords are shown as ***; leave them so to keep them.');
      put(out);
      if (c.problems.length) put(out, problems(c.problems, 'The file was refused:'));
      else if (c.warnings.length) put(out, h('div', { class: 'notice warn' }, problemList(c.warnings, jump)));
    } catch (e) { put(out, h('div', { class: 'notice bad' }, e.message)); }
  };
  const stale = (kind, words) => h('div', { class: `notice ${kind}` }, words, ' ', h('button', { class: 'btn small', type: 'button', onclick: load }, 'Load the new one (your edit is lost)'));
  const failed = async (e) => {
    if (e.problems?.length) return say(problems(e.problems, 'Not saved:'));
    say(e.code === 'config_changed' ? stale('bad', 'The file was changed by somebody else since you opened it. Nothing was saved.') : h('div', { class: 'notice bad' }, e.message));
  };
  const check = h('button', { class: 'btn', type: 'button', onclick: async () => {
    try {
      const r = await post('/config/validate', { text: text.value });
      say(r.problems.length ? problems(r.problems, 'It would be refused:') : h('div', { class: 'notice good' }, 'It would be accepted.', r.warnings.length ? problemList(r.warnings, jump) : null));
    } catch (e) { failed(e); }
  } }, 'Check');
  const save = h('button', { class: 'btn primary', type: 'button', onclick: async () => {
    save.disabled = true;
    try { const done = await putApi('/config', { text: text.value, expected_hash: hash }); toast(done.notes.length ? 'Saved' : 'Saved and in effect'); tell(done.notes); await load(); } catch (e) { failed(e); }
    save.disabled = false;
  } }, 'Save and apply');
  const unsubscribe = subscribe((what) => {
    if (what !== 'config' || !now.config || now.config.hash === hash) return;
    if (text.value === original) load();
    else if (told !== now.config.hash) put(out, stale('warn', 'The file has changed on disk while you were editing. Saving will be refused until you load it.'));
    told = now.config.hash;
  });
  load();
  return { node: h('section', { class: 'card' }, h('header', {}, h('h2', {}, 'Configuration file'), h('div', { class: 'tools' }, h('a', { class: 'btn small', href: '/api/v1/config/schema', target: '_blank', rel: 'noopener' }, 'JSON Schema'))), h('div', { class: 'body stack' }, note, text, may('administrator') ? h('div', { class: 'row' }, save, check) : null, out)), destroy: unsubscribe };
}

const TABS = { general: ['General', general, 'viewer'], config: ['Configuration', configuration, 'viewer'], sinks: ['Sinks', sinks, 'viewer'], rules: ['Rules', rules, 'viewer'], channels: ['Channels', channels, 'viewer'], users: ['Users', users, 'administrator'], tokens: ['API tokens', tokens, 'administrator'], audit: ['Audit log', audit, 'administrator'] };

export function make({ tab = 'general' }) {
  const [label, build, role] = TABS[tab] || TABS.general;
  const inner = may(role) ? build() : { node: h('p', { class: 'notice' }, 'This needs the role of an administrator.') };
  return {
    title: label,
    node: h('div', {}, h('h1', { class: 'sr' }, 'Settings'), h('nav', { class: 'tabs', 'aria-label': 'Settings' }, Object.entries(TABS).filter(([, [, , r]]) => may(r)).map(([k, [l]]) => link(k === 'general' ? '/settings' : `/settings/${k}`, k === tab ? { 'aria-current': 'page' } : {}, l))), inner.node),
    destroy: inner.destroy,
  };
}

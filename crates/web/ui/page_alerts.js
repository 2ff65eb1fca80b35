// Alerts: what is wrong now and who knows of it, and what was.

import { get, may, post, query } from './api.js';
import { dialog, h, link, put, segments, toast } from './dom.js';
import { dateTime, span } from './format.js';
import { now, serverNow, subscribe } from './live.js';
import { severityPill } from './settings_alerts.js';

const PAGE_ROWS = 50;
const SOON_MS = 300;
const HOUR = 3600000;

const nameOf = (id) => now.targets.get(id)?.name || id;
const streams = (n) => `${n} ${n === 1 ? 'stream' : 'streams'}`;

/** Why people are not told, in words. */
function held(x) {
  const names = x.targets.map(nameOf).join(', ');
  return {
    grouping: 'waits a moment for others',
    asking: `being looked at first: ${names}`,
    explained: `explained by ${names}`,
    grace: `waits whether it recovers now that its cause is over`,
    no_network: 'StreamPulse has no network itself',
    maintenance: `planned work: ${x.name}`,
    acknowledged: 'acknowledged before anybody was told',
    muted: x.until ? `muted until ${dateTime(x.until)}` : 'muted until somebody ends it',
  }[x.why] || x.why;
}

const PLACES = { target: '/streams/', service: '/services/' };
const subject = (a) => (PLACES[a.about.kind] ? link(`${PLACES[a.about.kind]}${encodeURIComponent(a.about.id)}`, {}, a.name) : h('b', {}, a.name));

/** Does something, says what came of it, and shows what is now. */
const act = (f, words, after) => async () => {
  try { await f(); toast(words); } catch (e) { toast(e.message, 'bad'); }
  after();
};

async function acknowledge(a, after) {
  const note = h('textarea', { class: 'input', rows: 3, name: 'note', maxlength: 2000, placeholder: 'What is known, who takes care of it' });
  const answer = await dialog(`Acknowledge: ${a.name}`, [h('p', { class: 'muted' }, 'Nobody is reminded of it any more. When it is over, that is told all the same.'), h('label', { class: 'field' }, h('span', { class: 'label' }, 'Note'), note)], 'Acknowledge');
  if (answer) act(() => post('/alerts/acknowledge', { key: a.key, note: note.value.trim() }), `${a.name} is acknowledged`, after)();
}

async function mute(a, after) {
  const target = a.about.kind === 'target' ? a.about.id : null;
  const what = h('select', { class: 'input', name: 'what' }, [target ? ['both', `${a.rule} about ${a.name}`] : null, target ? ['target', `Everything about ${a.name}`] : null, ['rule', `The rule ${a.rule} for all`]].filter(Boolean).map(([v, l]) => h('option', { value: v }, l)));
  const long = h('select', { class: 'input', name: 'long' }, [[1, '1 hour'], [8, '8 hours'], [24, '1 day'], [168, '1 week'], [0, 'until somebody ends it']].map(([v, l]) => h('option', { value: v }, l)));
  const note = h('input', { class: 'input', name: 'note', maxlength: 2000 });
  const answer = await dialog(`Mute: ${a.name}`, [h('label', { class: 'field' }, h('span', { class: 'label' }, 'What'), what), h('label', { class: 'field' }, h('span', { class: 'label' }, 'For how long'), long), h('label', { class: 'field' }, h('span', { class: 'label' }, 'Why'), note)], 'Mute');
  if (!answer) return;
  const body = { note: note.value.trim() };
  if (what.value !== 'rule') body.target = target;
  if (what.value !== 'target') body.rule = a.rule;
  if (Number(long.value)) body.until = Math.round(serverNow() + Number(long.value) * HOUR);
  act(() => post('/alerts/mute', body), 'Muted', after)();
}

function activeRow(a, mutes, after) {
  const id = a.about.kind === 'target' ? a.about.id : null;
  const muted = mutes.find((m) => (m.target === null || m.target === id) && (m.rule === null || m.rule === a.rule));
  const begun = a.phase !== 'pending';
  const marks = [
    a.flapping ? h('span', { class: 'tag warn' }, 'flapping') : null,
    a.phase === 'pending' ? h('span', { class: 'tag' }, 'not for long enough yet') : null,
    a.phase === 'clearing' ? h('span', { class: 'tag' }, 'good again, not for long enough yet') : null,
    a.held ? h('span', { class: 'tag' }, held(a.held)) : null,
    muted && a.held?.why !== 'muted' ? h('span', { class: 'tag' }, held({ why: 'muted', targets: [], until: muted.until })) : null,
  ].filter(Boolean);
  const told = a.told_at ? `Told to ${a.told.join(', ')}, ${dateTime(a.told_at)}` : null;
  return h('tr', { 'data-key': a.key }, h('td', {}, severityPill(a.severity)), h('td', {}, subject(a), h('div', { class: 'muted' }, a.rule)),
    h('td', { class: 'wrap' }, a.cause, marks.length ? h('div', { class: 'tags' }, marks) : null,
      a.explains.length ? h('details', { class: 'more' }, h('summary', {}, `Explains ${streams(a.explains.length)}`), h('ul', {}, a.explains.map((id) => h('li', {}, link(`/streams/${encodeURIComponent(id)}`, {}, nameOf(id)))))) : null,
      a.acked_by ? h('div', { class: 'acked' }, `Acknowledged by ${a.acked_by}, ${dateTime(a.acked_at)}`, a.note ? [': ', h('q', {}, a.note)] : '') : null, told ? h('div', { class: 'muted' }, told) : null),
    h('td', { class: 'nowrap num', 'data-label': 'for' }, h('time', { title: dateTime(a.began_at), 'data-since': a.began_at }, span(serverNow() - a.began_at))),
    h('td', { class: 'nowrap end' }, may('operator') ? h('span', { class: 'row' },
      begun && !a.acked_by ? h('button', { class: 'btn small', type: 'button', onclick: () => acknowledge(a, after) }, 'Acknowledge') : null,
      a.acked_by ? h('button', { class: 'btn small quiet', type: 'button', onclick: act(() => post('/alerts/unacknowledge', { key: a.key }), 'Taken back', after) }, 'Take back') : null,
      muted ? null : h('button', { class: 'btn small quiet', type: 'button', onclick: () => mute(a, after) }, 'Mute')) : null));
}

const pastRow = (a) => h('tr', {}, h('td', {}, severityPill(a.severity)),
  h('td', {}, a.target ? link(`/streams/${encodeURIComponent(a.target)}`, {}, a.name || a.target) : h('b', {}, a.key.split(':').pop()), h('div', { class: 'muted' }, a.rule)),
  h('td', { class: 'nowrap' }, dateTime(a.began_at)), h('td', { class: 'nowrap' }, a.ended_at ? dateTime(a.ended_at) : 'still open'),
  h('td', { class: 'nowrap num', 'data-label': 'for' }, span((a.ended_at || serverNow()) - a.began_at)),
  h('td', { class: 'wrap' }, a.cause, a.flapping ? [' ', h('span', { class: 'tag warn' }, 'flapping')] : '', a.acked_by ? h('div', { class: 'acked' }, `Acknowledged by ${a.acked_by}`, a.note ? [': ', h('q', {}, a.note)] : '') : null));

const table = (heads, body) => h('div', { class: 'scroll-x' }, h('table', { class: 'table flow' }, h('thead', {}, h('tr', {}, heads.map((t) => h('th', { class: t === 'For' ? 'num' : null }, t)))), body));

export function make() {
  const notices = h('div', { class: 'stack' });
  const rows = h('tbody');
  const pastRows = h('tbody');
  const mutes = h('tbody');
  const empty = h('p', { class: 'empty', hidden: true });
  const more = h('button', { class: 'btn', type: 'button', hidden: true }, 'Older');
  const active = h('section', { class: 'card', id: 'active' }, table(['', 'What', 'Why', 'For', ''], rows));
  const muted = h('section', { class: 'card', id: 'muted', hidden: true }, h('header', {}, h('h2', {}, 'Muted')), table(['What', 'Until', 'By', 'Why', ''], mutes));
  const history = h('section', { class: 'card', id: 'history', hidden: true }, table(['', 'What', 'Began', 'Ended', 'For', 'Why'], pastRows));
  let past = false;
  let next = null;
  let turn = 0;

  const muteRow = (m, after) => h('tr', {}, h('td', {}, [m.target ? nameOf(m.target) : 'All streams', m.rule ? `rule ${m.rule}` : 'every rule'].join(', ')), h('td', { class: 'nowrap' }, m.until ? dateTime(m.until) : 'somebody ends it'), h('td', {}, m.by), h('td', { class: 'wrap' }, m.note),
    h('td', { class: 'end' }, may('operator') ? h('button', { class: 'btn small', type: 'button', onclick: act(() => post('/alerts/unmute', { target: m.target, rule: m.rule }), 'Alerts are told again', after) }, 'End') : null));

  async function load() {
    const mine = ++turn;
    try {
      const b = await get('/alerts');
      if (mine !== turn) return;
      const heldBack = Object.entries(b.held_back).filter(([, n]) => n > 0);
      put(notices, b.no_network_since ? h('div', { class: 'notice warn' }, `StreamPulse itself has had no network since ${dateTime(b.no_network_since)}: no stream is blamed meanwhile.`) : null,
        heldBack.length ? h('div', { class: 'notice warn' }, `Held back by the limit of a channel, told in one digest: ${heldBack.map(([name, n]) => `${n} to ${name}`).join(', ')}.`) : null);
      put(rows, b.alerts.map((a) => activeRow(a, b.mutes, load)));
      put(mutes, b.mutes.map((m) => muteRow(m, load)));
      active.hidden = past || b.alerts.length === 0;
      muted.hidden = past || b.mutes.length === 0;
      if (!past) { empty.hidden = b.alerts.length > 0; put(empty, 'Nothing is wrong that anybody has to know of.'); }
    } catch (e) { if (!past) { active.hidden = true; empty.hidden = false; put(empty, `The alerts could not be read: ${e.message}`); } }
  }
  async function loadPast(fresh) {
    const mine = ++turn;
    more.disabled = true;
    try {
      const page = await get(`/alerts/history${query({ limit: PAGE_ROWS, before: fresh ? null : next })}`);
      if (mine !== turn) return;
      const made = page.alerts.map(pastRow);
      fresh ? put(pastRows, made) : pastRows.append(...made);
      next = page.next;
      more.hidden = next === null;
      history.hidden = pastRows.children.length === 0;
      empty.hidden = !history.hidden;
      put(empty, 'There were no alerts yet.');
    } catch (e) { if (mine === turn) { history.hidden = true; empty.hidden = false; put(empty, `The history could not be read: ${e.message}`); } }
    more.disabled = false;
  }
  const show = () => {
    seg.draw(past);
    active.hidden = muted.hidden = history.hidden = more.hidden = true;
    past ? loadPast(true) : load();
  };
  const seg = segments('Which alerts', [[false, 'Active'], [true, 'History']], (v) => { past = v; show(); });
  more.onclick = () => loadPast(false);
  show();
  let later = 0;
  const unsubscribe = subscribe((what) => {
    if ((what !== 'alerts' && what !== 'connection') || later) return;
    // Whoever writes a note or reads further back is not disturbed.
    later = setTimeout(() => { later = 0; if (!past) load(); else if (pastRows.children.length <= PAGE_ROWS) loadPast(true); }, SOON_MS);
  });
  const clock = setInterval(() => { for (const t of rows.querySelectorAll('time')) t.textContent = span(serverNow() - Number(t.dataset.since)); }, 1000);
  return {
    title: 'Alerts',
    node: h('div', { class: 'stack' }, h('div', { class: 'row' }, h('h1', { class: 'grow' }, 'Alerts'), link('/settings/rules', { class: 'btn small quiet' }, 'Rules'), link('/settings/channels', { class: 'btn small quiet' }, 'Channels'), seg.node), notices, active, empty, muted, history, h('div', {}, more)),
    destroy() { unsubscribe(); clearTimeout(later); clearInterval(clock); },
  };
}

// Planned work: a calendar of months, the windows of the configuration, and work that begins by hand.

import { del, get, may, post, query } from './api.js';
import { h, put, toast } from './dom.js';
import { dateTime, hourMinute, span, timezone } from './format.js';
import { listEditor } from './list_editor.js';
import { now, serverNow, subscribe } from './live.js';
import { scope } from './settings_alerts.js';
import { addDays, startOf, today } from './zones.js';

const WEEK = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'];
const HOUR = 3600000;
const list = (value) => (Array.isArray(value) ? value.join(', ') : value ?? '');

/** When a window is, in words. */
function when(w) {
  if (w.cron) return `${w.cron} (cron), ${w.duration}`;
  if (w.days) return `${list(w.days)}, ${w.from} to ${w.until}`;
  if (w.day) return `every month on the ${w.day === 'last' ? 'last day' : `${w.day}.`}, ${w.from} to ${w.until}`;
  return `once, ${w.from} to ${w.until}`;
}

/** Monday of the week in which a month begins, and how many days its weeks have. */
function grid({ year, month }) {
  const first = new Date(Date.UTC(year, month - 1, 1));
  const lead = (first.getUTCDay() + 6) % 7;
  const days = new Date(Date.UTC(year, month, 0)).getUTCDate();
  return { start: addDays({ year, month, day: 1 }, -lead), cells: Math.ceil((lead + days) / 7) * 7 };
}

function calendar() {
  const title = h('h2', { 'aria-live': 'polite' });
  const body = h('div', { class: 'calendar', role: 'grid' });
  const zoneNote = h('p', { class: 'muted' });
  let shown = today(serverNow());
  let turn = 0;

  async function draw() {
    const mine = ++turn;
    const { start, cells } = grid(shown);
    const [from, to] = [startOf(start), startOf(addDays(start, cells))];
    put(title, new Intl.DateTimeFormat('en', { month: 'long', year: 'numeric', timeZone: 'UTC' }).format(Date.UTC(shown.year, shown.month - 1, 1)));
    let m;
    try { m = await get(`/maintenance${query({ from, to })}`); } catch (e) { put(body, h('p', { class: 'notice bad' }, e.message)); return; }
    if (mine !== turn) return;
    const other = [...new Set(Object.values(m.zones))].filter((z) => z !== timezone());
    put(zoneNote, `Times are shown in ${timezone()}.`, other.length ? ` Some windows are meant in another zone: ${Object.entries(m.zones).filter(([, z]) => z !== timezone()).map(([n, z]) => `${n} in ${z}`).join(', ')}.` : '');
    const here = today(serverNow());
    const days = Array.from({ length: cells }, (_, i) => {
      const day = addDays(start, i);
      const [begin, end] = [startOf(day), startOf(addDays(day, 1))];
      const works = m.times.filter((t) => t.from < end && t.until > begin);
      const isToday = day.year === here.year && day.month === here.month && day.day === here.day;
      const label = new Intl.DateTimeFormat('en', { weekday: 'long', day: 'numeric', month: 'long', timeZone: 'UTC' }).format(Date.UTC(day.year, day.month - 1, day.day));
      return h('div', { class: ['day', day.month !== shown.month ? 'outside' : '', isToday ? 'today' : '', works.length ? '' : 'free'].join(' ').trim(), role: 'gridcell', 'aria-label': label },
        h('span', { class: 'date' }, h('span', { class: 'long' }, label), h('span', { class: 'short' }, day.day)),
        works.map((t) => h('span', { class: `work${t.ad_hoc ? ' hand' : ''}`, title: `${t.name}: ${dateTime(t.from)} to ${dateTime(t.until)}` },
          h('b', {}, t.name), ' ', `${t.from < begin ? '…' : hourMinute(t.from)} to ${t.until > end ? '…' : hourMinute(t.until)}`)));
    });
    put(body, WEEK.map((w) => h('div', { class: 'weekday', role: 'columnheader' }, w)), days,
      m.times.some((t) => t.from < startOf(addDays(start, cells)) && t.until > from) ? null : h('p', { class: 'empty all' }, 'No work is planned in this month.'));
  }
  const move = (by) => () => {
    const at = shown.year * 12 + shown.month - 1 + by;
    shown = { year: Math.floor(at / 12), month: (at % 12) + 1, day: 1 };
    draw();
  };
  const button = (label, words, f) => h('button', { class: 'btn small', type: 'button', 'aria-label': words, title: words, onclick: f }, label);
  draw();
  const node = h('section', { class: 'card', id: 'calendar' }, h('header', {}, title, h('div', { class: 'tools' }, button('‹', 'Month before', move(-1)), button('Today', 'This month', () => { shown = today(serverNow()); draw(); }), button('›', 'Month after', move(1)))), h('div', { class: 'body stack' }, body, zoneNote));
  return { node, draw };
}

/** Work that begins by hand: who, how long, why. */
function byHand(changed) {
  const name = h('input', { class: 'input', name: 'work', maxlength: 200, placeholder: 'New switch in the North hall', required: true });
  const who = h('select', { class: 'input', name: 'who' });
  const hours = h('select', { class: 'input', name: 'hours' }, [[0.5, '30 minutes'], [1, '1 hour'], [2, '2 hours'], [4, '4 hours'], [8, '8 hours'], [24, '1 day']].map(([v, l]) => h('option', { value: v }, l)));
  hours.value = '1';
  const out = h('div', { role: 'status' });
  const fill = () => {
    const all = [...now.targets.values()];
    const groups = [...new Set(all.map((t) => t.group).filter(Boolean))].sort();
    const kept = who.value;
    put(who, h('option', { value: '' }, 'All streams'), groups.map((g) => h('option', { value: `g:${g}` }, `Group ${g}`)), all.map((t) => h('option', { value: `t:${t.id}` }, t.name)));
    who.value = kept;
  };
  fill();
  const begin = async (e) => {
    e.preventDefault();
    const body = { name: name.value.trim(), until: Math.round(serverNow() + Number(hours.value) * HOUR) };
    if (who.value.startsWith('g:')) body.groups = [who.value.slice(2)];
    if (who.value.startsWith('t:')) body.targets = [who.value.slice(2)];
    try {
      await post('/maintenance', body);
      toast(`${body.name} began`);
      name.value = '';
      put(out);
      changed();
    } catch (error) { put(out, h('div', { class: 'notice bad', role: 'alert' }, error.message)); }
  };
  const field = (label, control) => h('label', { class: 'field' }, h('span', { class: 'label' }, label), control);
  const node = h('form', { class: 'form', onsubmit: begin }, h('div', { class: 'grid2' }, field('Begin work by hand', name), field('For', who), field('How long', hours)), out, h('div', { class: 'row' }, h('button', { class: 'btn primary', type: 'submit' }, 'Begin now')));
  return { node, fill };
}

export function make() {
  const month = calendar();
  const current = h('div', { class: 'stack' });
  const refresh = () => { month.draw(); state(); };
  const hand = may('operator') ? byHand(refresh) : null;
  let windows = new Map();
  const editor = listEditor({
    section: 'maintenance',
    title: 'Windows',
    one: 'window',
    first: ['name', 'from', 'until', 'days', 'day', 'cron', 'duration', 'timezone', 'targets', 'groups', 'tags'],
    columns: ['When', 'For', 'Zone', 'Next'],
    cells: (w) => {
      const next = windows.get(w.name);
      return [when(w), scope(w), w.timezone || 'as the file', next ? (next.active ? h('span', { class: 'pill maintenance' }, `until ${dateTime(next.until)}`) : next.from ? dateTime(next.from) : 'never again') : ''];
    },
    note: 'During planned work nothing is judged and nobody is told.',
    empty: 'No work is planned in the configuration file.',
    changed: refresh,
  });
  const end = (w) => async () => {
    try { await del(`/maintenance/${encodeURIComponent(w.name)}`); toast(`${w.name} has ended`); } catch (e) { toast(e.message, 'bad'); }
    refresh();
  };
  async function state() {
    try {
      const m = await get('/maintenance');
      windows = new Map(m.windows.map((w) => [w.name, w]));
      editor.draw();
      const running = m.windows.filter((w) => w.active || w.ad_hoc);
      put(current, running.map((w) => h('div', { class: 'notice' }, h('div', { class: 'row' }, h('span', { class: 'grow' }, h('b', {}, w.name), ` ${w.active ? 'is under way' : `begins ${dateTime(w.from)}`}, until ${dateTime(w.until)} (${span(w.until - serverNow())}), ${w.targets === 1 ? '1 stream' : `${w.targets} streams`}.`),
        w.ad_hoc && may('operator') ? h('button', { class: 'btn small', type: 'button', onclick: end(w) }, 'End it') : null))));
    } catch (e) { put(current, h('div', { class: 'notice bad' }, e.message)); }
  }
  state();
  let later = 0;
  const unsubscribe = subscribe((what) => {
    if (what === 'list') hand?.fill();
    if (what === 'alerts' && !later) later = setTimeout(() => { later = 0; state(); }, 500);
  });
  return {
    title: 'Planned work',
    node: h('div', { class: 'stack' }, h('div', { class: 'row' }, h('h1', { class: 'grow' }, 'Planned work')), current, month.node, hand ? h('section', { class: 'card', id: 'by-hand' }, h('div', { class: 'body' }, hand.node)) : null, editor.node),
    destroy() { unsubscribe(); clearTimeout(later); },
  };
}

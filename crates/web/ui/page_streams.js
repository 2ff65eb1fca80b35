// The list of all streams. Only the rows in sight exist as nodes.

import { may } from './api.js';
import { beatBar } from './beats.js';
import { h, link, put, segments, setText } from './dom.js';
import { ago, brief, millis, percent, span, STATUS, track } from './format.js';
import { now, serverNow, subscribe } from './live.js';
import { liveWords, sessionTag } from './session.js';

const ORDER = { down: 0, degraded: 1, unknown: 2, up: 3, maintenance: 4, paused: 5 };
const SORTS = {
  config: ['As configured', null],
  status: ['Worst first', (a, b) => ORDER[a.status] - ORDER[b.status] || a.name.localeCompare(b.name)],
  name: ['Name', (a, b) => a.name.localeCompare(b.name)],
  availability: ['Availability', (a, b) => (a.availability?.h24 ?? 2) - (b.availability?.h24 ?? 2)],
  response: ['Slowest', (a, b) => (b.last?.took_ms ?? -1) - (a.last?.took_ms ?? -1)],
};
const FAILING = (t) => t.status === 'down' || t.status === 'degraded';
const FILTERS = { all: ['All', () => true], failing: ['Failing', FAILING], paused: ['Paused', (t) => t.status === 'paused'] };
const HEAD_HEIGHT = 36;
const HEAD_KEY = 'group:';
const OVERSCAN_PX = 400;
const narrow = matchMedia('(max-width: 720px)');
const rowHeight = () => (narrow.matches ? 92 : 56);

const view = { search: '', filter: 'all', group: '', sort: 'config', closed: new Set() };

function row() {
  const pill = h('span', { class: 'pill' });
  const name = h('span', { class: 'name ellipsis' });
  const sub = h('span', { class: 'sub' });
  const beats = beatBar();
  const [day, month, ms, why] = [h('span'), h('span'), h('span'), h('span', { class: 'why' })];
  const a = link('', { class: 'cols srow' },
    h('span', { class: 'c-status' }, pill), h('span', { class: 'c-name grow' }, h('span', { class: 'ellipsis', style: { display: 'block' } }, name), sub),
    h('span', { class: 'c-beats' }, beats), h('span', { class: 'c-24 right' }, day), h('span', { class: 'c-30 right' }, month), h('span', { class: 'c-ms right nowrap' }, ms), h('span', { class: 'c-why' }, why));
  const node = h('div', { class: 'vrow', role: 'listitem' }, a);
  let shown = null;
  node.update = (t) => {
    if (shown === t) return;
    shown = t;
    a.setAttribute('href', `/streams/${encodeURIComponent(t.id)}`);
    a.className = `cols srow s-${t.status}`;
    pill.className = `pill ${t.status}`;
    setText(pill, STATUS[t.status]);
    setText(name, t.name);
    put(sub, h('span', { class: 'tag kind' }, t.kind), sessionTag(t), t.tags.map((x) => h('span', { class: 'tag' }, x)), h('span', { class: 'ellipsis' }, t.url));
    beats.update(t.beats);
    setText(day, percent(t.availability?.h24));
    setText(month, percent(t.availability?.d30));
    setText(ms, millis(t.last?.took_ms));
    setText(why, describe(t));
  };
  node.live = () => { if (shown) setText(why, describe(shown)); };
  return node;
}

/** One sentence: why it is not up, else what it carries. */
function describe(t) {
  if (t.status !== 'up' && t.reason) return `${t.reason} · for ${span(serverNow() - t.since)}`;
  if (!t.last) return 'not looked at yet';
  if (t.last.grade !== 'pass') return `${t.last.reasons[0]?.text || t.last.grade} (${t.fails} of ${t.fail_after})`;
  return [liveWords(t.id), ...t.last.tracks.map(track)].filter(Boolean).join(' · ') || brief(t.last) || `answered ${ago(t.last.at, serverNow())}`;
}

function items() {
  const words = view.search.toLowerCase().split(/\s+/).filter(Boolean);
  let list = [...now.targets.values()].filter((t) => FILTERS[view.filter][1](t) && (!view.group || (t.group || '') === view.group));
  if (words.length) list = list.filter((t) => { const hay = `${t.name} ${t.group || ''} ${t.tags.join(' ')} ${t.url} ${t.kind} ${t.status}`.toLowerCase(); return words.every((w) => hay.includes(w)); });
  const sort = SORTS[view.sort][1];
  if (sort) list.sort(sort);
  const groups = new Map();
  for (const t of list) { const g = t.group || ''; if (!groups.has(g)) groups.set(g, []); groups.get(g).push(t); }
  const out = [];
  const plain = groups.size <= 1 && !groups.keys().next().value;
  for (const [g, members] of groups) {
    if (!plain) out.push({ head: g, members, key: `${HEAD_KEY}${g}`, height: HEAD_HEIGHT });
    if (plain || !view.closed.has(g)) for (const t of members) out.push({ id: t.id, key: `id:${t.id}`, height: rowHeight() });
  }
  let y = 0;
  for (const i of out) { i.y = y; y += i.height; }
  return { out, total: y, shown: list.length };
}

function groupHead(redraw) {
  let group = '';
  const [mark, name, size, bad] = [h('span', { class: 'muted', 'aria-hidden': 'true' }), h('span', { class: 'ellipsis' }), h('span', { class: 'muted' }), h('span', { class: 'pill down' })];
  const button = h('button', { class: 'grow-head', type: 'button', onclick: () => { view.closed.has(group) ? view.closed.delete(group) : view.closed.add(group); redraw(); } }, mark, name, size, bad);
  const node = h('div', { class: 'vrow', role: 'listitem' }, button);
  node.update = (item) => {
    group = item.head;
    const failing = item.members.filter(FAILING).length;
    button.setAttribute('aria-expanded', String(!view.closed.has(group)));
    setText(mark, view.closed.has(group) ? '▸' : '▾');
    setText(name, group || 'Without group');
    setText(size, String(item.members.length));
    setText(bad, `${failing} failing`);
    bad.hidden = !failing;
  };
  return node;
}

function toolbar(redraw) {
  const search = h('input', { class: 'input search', type: 'search', placeholder: 'Search streams  ( / )', 'aria-label': 'Search streams', value: view.search, oninput: (e) => { view.search = e.target.value; redraw(); } });
  search.addEventListener('keydown', (e) => { if (e.key === 'Escape') { search.value = view.search = ''; redraw(); search.blur(); } });
  const filter = segments('Filter', Object.entries(FILTERS).map(([k, [label]]) => [k, label]), (k) => { view.filter = k; redraw(); });
  const group = h('select', { class: 'input', 'aria-label': 'Group', onchange: (e) => { view.group = e.target.value; redraw(); } });
  const sort = h('select', { class: 'input', 'aria-label': 'Order', value: view.sort, onchange: (e) => { view.sort = e.target.value; redraw(); } }, Object.entries(SORTS).map(([k, [label]]) => h('option', { value: k, selected: k === view.sort }, label)));
  let groupsKey = null;
  const draw = () => {
    const all = [...now.targets.values()];
    filter.draw(view.filter, Object.values(FILTERS).map(([label, f]) => `${label} ${all.filter(f).length}`));
    const groups = [...new Set(all.map((t) => t.group).filter(Boolean))].sort();
    if (groups.join('\n') !== groupsKey) {
      groupsKey = groups.join('\n');
      put(group, h('option', { value: '' }, 'All groups'), groups.map((g) => h('option', { value: g }, g)));
      group.value = view.group;
      group.hidden = !groups.length;
    }
  };
  const node = h('div', { class: 'toolbar' }, search, filter.node, group, sort, h('span', { class: 'grow' }),
    h('a', { class: 'btn', href: '/export/all.csv', download: 'stream_logs.csv' }, 'CSV'), may('administrator') ? link('/streams/new', { class: 'btn primary' }, 'Add stream') : null);
  return { node, draw };
}

export function make() {
  const list = h('div', { class: 'vlist', role: 'list' });
  const empty = h('div', { class: 'empty', hidden: true });
  const rows = new Map();
  const spare = [];
  let layout = { out: [], total: 0 };
  let queued = false;

  const paint = () => {
    queued = false;
    const top = -list.getBoundingClientRect().top - OVERSCAN_PX;
    const bottom = top + innerHeight + 2 * OVERSCAN_PX;
    const first = firstVisible(layout.out, top);
    let end = first;
    while (end < layout.out.length && layout.out[end].y < bottom) end++;
    const shown = layout.out.slice(first, end);
    const seen = new Set(shown.map((item) => item.key));
    for (const [key, node] of rows) if (!seen.has(key)) { rows.delete(key); node.remove(); if (!key.startsWith(HEAD_KEY)) spare.push(node); }
    let before = null;
    for (const item of shown) {
      let node = rows.get(item.key);
      if (!node) {
        node = item.id ? spare.pop() || row() : groupHead(redraw);
        rows.set(item.key, node);
      }
      // The order of the nodes is the order of the rows: the tab key follows it.
      if (node.parentNode !== list || node.previousSibling !== before) before ? before.after(node) : list.prepend(node);
      before = node;
      node.style.transform = `translateY(${item.y}px)`;
      node.style.height = `${item.height}px`;
      node.update(item.id ? now.targets.get(item.id) : item);
    }
  };
  const schedule = () => { if (!queued) { queued = true; requestAnimationFrame(paint); } };
  const bar = toolbar(() => redraw());
  function redraw() {
    layout = items();
    list.style.height = `${layout.total}px`;
    bar.draw();
    empty.hidden = layout.out.length > 0;
    if (!layout.out.length) {
      put(empty, !now.loaded ? 'Loading …' : now.targets.size ? 'No stream fits this search and filter.' : ['Nothing is watched yet. ', may('administrator') ? link('/streams/new', {}, 'Add the first stream by pasting its URL.') : 'Ask an administrator to add streams.']);
    }
    schedule();
  }
  let later = 0;
  const unsubscribe = subscribe((what, ids) => {
    if (what === 'list' || what === 'connection') redraw();
    else if (what === 'live') for (const id of ids) rows.get(`id:${id}`)?.live();
    else if (what === 'targets') {
      for (const id of ids) { const node = rows.get(`id:${id}`); const t = now.targets.get(id); if (node && t) node.update(t); }
      // Counts, order and filters follow at a calmer pace than the rows themselves.
      if (!later) later = setTimeout(() => { later = 0; redraw(); }, view.sort === 'config' && view.filter === 'all' ? 1000 : 250);
    }
  });
  addEventListener('scroll', schedule, { passive: true });
  const resized = () => redraw();
  addEventListener('resize', resized);
  redraw();
  const head = h('div', { class: 'cols listhead', 'aria-hidden': 'true' }, h('span', {}, 'Status'), h('span', {}, 'Stream'), h('span', { class: 'c-beats' }, 'Last looks'), h('span', { class: 'c-24 right' }, '24 h'), h('span', { class: 'c-30 right' }, '30 d'), h('span', { class: 'c-ms right' }, 'Response'), h('span', { class: 'c-why' }, 'Media or reason'));
  return {
    title: 'Streams',
    node: h('div', {}, h('h1', { class: 'sr' }, 'Streams'), bar.node, h('section', { class: 'card', 'aria-label': 'Streams' }, head, list, empty)),
    destroy() { unsubscribe(); clearTimeout(later); removeEventListener('scroll', schedule); removeEventListener('resize', resized); },
  };
}

function firstVisible(out, top) {
  let [low, high] = [0, out.length];
  while (low < high) { const mid = (low + high) >> 1; if (out[mid].y + out[mid].height < top) low = mid + 1; else high = mid; }
  return low;
}

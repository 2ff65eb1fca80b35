// All services: how each is, what it uses, why it is in trouble, and what can be done about it, right in its row.

import { h, keep, link, put, segments, setText } from './dom.js';
import { count, dateTime, span } from './format.js';
import { now, subscribe } from './live.js';
import { actions, cpuOf, depth, endedBadly, endWords, lastLines, memoryOf, meter, nextStart, pills, rateWords, runs, seenNow, stateWords, troubled, waits, why } from './service_parts.js';

// As many of the last lines as fit beside a reason; all of them are on the service's own page.
const ROW_LINES = 3;
const FILTERS = { all: ['All', () => true], trouble: ['Trouble', troubled], running: ['Running', (s) => s.state === 'running'] };
const EXAMPLE = `services:
  converter:
    name: Converter
    process:
      argv: [/usr/local/bin/convert, --watch, /data/incoming]
    restart:
      policy: always
`;

const view = { search: '', filter: 'all', group: '' };

/** For how long, in words for the state: label, span, title. */
function sinceWords(s) {
  if (runs(s) && s.started_at !== null) return ['Up', span(seenNow() - s.started_at), `started ${dateTime(s.started_at)}`];
  return ['For', span(seenNow() - s.since), `${stateWords(s.state).toLowerCase()} since ${dateTime(s.since)}`];
}

function queueWords(queue) {
  if (!queue) return ['', '', ''];
  const deep = depth(queue);
  const all = queue.counts.map((c) => `${c.state} ${count(c.count)}`).join(', ');
  if (queue.error && !queue.counts.length) return ['unknown', '', queue.error];
  return [deep === null ? 'unknown' : count(deep), queue.rate_per_hour === null ? '' : rateWords(queue), queue.error ? `${queue.error}; counted last ${dateTime(queue.at)}: ${all}` : all];
}

const figure = (name, label, ...inside) => h('div', { class: `c-${name}` }, h('span', { class: 'k' }, label), inside);

function row() {
  const state = pills();
  const name = link('', { class: 'name' });
  const sub = h('div', { class: 'sub' });
  const [sinceLabel, since, cpu, memory] = [h('span'), h('span', { class: 'v' }), meter('CPU'), meter('Memory')];
  const [queue, rate, marks, restarts] = [h('span', { class: 'v' }), h('span', { class: 'muted nowrap' }), h('span', { class: 'marks' }), h('span', { class: 'v' })];
  const buttons = actions('small');
  const [reason, next, end, lines] = [h('span', { class: 'reason wrap' }), h('b', { class: 'next nowrap' }), h('span', { class: 'end muted wrap' }), h('div')];
  const trouble = h('div', { class: 'svc-why', hidden: true }, h('div', { class: 'words' }, reason, next, end), lines);
  const queueCell = figure('queue', 'Queue', queue, rate, marks);
  const node = h('li', { class: 'svc' }, h('div', { class: 'svc-main' }, h('div', { class: 'c-state' }, state.node), h('div', { class: 'c-name' }, name, sub),
    figure('since', sinceLabel, since), figure('cpu', 'CPU', cpu), figure('memory', 'Memory', memory), queueCell, figure('restarts', 'Restarts', restarts), h('div', { class: 'c-acts' }, buttons.node)), trouble);
  let shown = null;
  node.tick = () => {
    const [label, words, title] = sinceWords(shown);
    setText(sinceLabel, label);
    setText(since, words);
    since.title = title;
    setText(next, nextStart(shown));
  };
  node.update = (s) => {
    if (shown === s) return;
    shown = s;
    node.dataset.id = s.id;
    node.className = `svc s-${s.enabled ? s.state : 'disabled'}${troubled(s) ? ' trouble' : ''}`;
    state.update(s);
    setText(name, s.name);
    name.setAttribute('href', `/services/${encodeURIComponent(s.id)}`);
    keep(sub, JSON.stringify([s.kind, s.on_fallback, s.pending, s.tags, s.description]), () => [h('span', { class: 'tag kind' }, s.kind), s.on_fallback ? h('span', { class: 'tag warn', title: 'No container engine can be reached: it runs as a process.' }, 'fallback') : null,
      s.pending ? h('span', { class: 'tag', title: 'What changed in its file takes effect at its next start.' }, 'changed') : null, s.tags.map((t) => h('span', { class: 'tag' }, t)), s.description ? h('span', { class: 'ellipsis', title: s.description }, s.description) : null]);
    cpu.update(...cpuOf(s));
    memory.update(...memoryOf(s));
    node.classList.toggle('idle', !runs(s));
    const [deep, perHour, all] = queueWords(s.queue);
    setText(queue, deep);
    setText(rate, perHour);
    queueCell.title = all;
    queueCell.classList.toggle('nothing', !s.queue);
    const failed = s.queue?.counts.find((c) => /^(failed|error)$/i.test(c.state))?.count || 0;
    keep(marks, `${s.queue?.stuck || 0} ${failed}`, () => [s.queue?.stuck ? h('span', { class: 'tag warn' }, `${count(s.queue.stuck)} stuck`) : null, failed ? h('span', { class: 'tag bad' }, `${count(failed)} failed`) : null]);
    setText(restarts, count(s.restarts));
    buttons.update(s);
    const words = why(s);
    trouble.hidden = !words && !waits(s);
    setText(reason, waits(s) ? `waits for ${s.waits_for.map((id) => now.services.get(id)?.name || id).join(', ')}` : words);
    // A start after a failure is no success yet: what it wrote before it failed stays in sight.
    const last = (troubled(s) || (s.state === 'starting' && s.cause === 'timer')) && endedBadly(s.last_end) ? s.last_end : null;
    setText(end, last && !words.includes(last.words) ? endWords(last) : '');
    keep(lines, last ? `${last.at} ${last.last_lines.length}` : '', () => (last?.last_lines.length ? lastLines(last.last_lines, ROW_LINES) : null));
    node.tick();
  };
  return node;
}

const hay = (s) => `${s.name} ${s.id} ${s.group || ''} ${s.tags.join(' ')} ${s.description} ${s.kind} ${s.state} ${s.health} ${s.reason}`.toLowerCase();

function chosen() {
  const words = view.search.toLowerCase().split(/\s+/).filter(Boolean);
  return [...now.services.values()].filter((s) => FILTERS[view.filter][1](s) && (!view.group || (s.group || '') === view.group) && words.every((w) => hay(s).includes(w)));
}

function toolbar(redraw) {
  const search = h('input', { class: 'input search', type: 'search', placeholder: 'Search services  ( / )', 'aria-label': 'Search services', value: view.search, oninput: (e) => { view.search = e.target.value; redraw(); } });
  search.addEventListener('keydown', (e) => { if (e.key === 'Escape') { search.value = view.search = ''; redraw(); search.blur(); } });
  const filter = segments('Filter', Object.entries(FILTERS).map(([k, [label]]) => [k, label]), (k) => { view.filter = k; redraw(); });
  const group = h('select', { class: 'input', 'aria-label': 'Group', onchange: (e) => { view.group = e.target.value; redraw(); } });
  return { node: h('div', { class: 'toolbar' }, search, filter.node, group), draw() {
    const all = [...now.services.values()];
    filter.draw(view.filter, Object.values(FILTERS).map(([label, f]) => `${label} ${all.filter(f).length}`));
    const groups = [...new Set(all.map((s) => s.group).filter(Boolean))].sort();
    if (view.group && !groups.includes(view.group)) view.group = '';
    keep(group, groups.join('\n'), () => [h('option', { value: '' }, 'All groups'), groups.map((g) => h('option', { value: g }, g))]);
    group.value = view.group;
    group.hidden = !groups.length;
  } };
}

/** What to say when there is no row. */
function nothing() {
  if (!now.servicesLoaded) return 'Loading …';
  if (now.services.size) return 'No service fits this search and filter.';
  return h('div', { class: 'intro' }, h('h2', {}, 'No services are run yet'),
    h('p', {}, 'A service is a program or a container that StreamPulse starts, watches and starts again. What may run stands in the file ', h('code', {}, 'services.yaml'), ' beside the configuration, and nowhere else: no page can add one. Only its owner may write the file, and it takes effect as soon as it is written.'),
    h('pre', { class: 'example' }, EXAMPLE));
}

/** The arrow keys go from name to name. */
function arrows(e) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[e.key];
  if (!step || !e.target.classList.contains('name')) return;
  const names = [...e.currentTarget.querySelectorAll('a.name')];
  names[names.indexOf(e.target) + step]?.focus();
  e.preventDefault();
}

export function make() {
  const box = h('div', { onkeydown: arrows });
  const empty = h('section', { class: 'card empty', hidden: true });
  const rows = new Map();
  const groups = new Map();
  let order = '';

  const groupOf = (name) => {
    if (!groups.has(name)) {
      const [title, size, bad, list] = [h('h2', {}, name || 'Without group'), h('span', { class: 'muted' }), h('span', { class: 'pill down' }), h('ul', { class: 'svcs' })];
      groups.set(name, { title, size, bad, list, node: h('section', { class: 'card svc-group', 'aria-label': name || 'Services' }, h('header', {}, title, size, bad), list) });
    }
    return groups.get(name);
  };
  const bar = toolbar(() => redraw());
  function redraw() {
    bar.draw();
    const list = chosen();
    const byGroup = new Map();
    for (const s of list) { const g = s.group || ''; if (!byGroup.has(g)) byGroup.set(g, []); byGroup.get(g).push(s); }
    for (const id of [...rows.keys()]) if (!now.services.has(id)) rows.delete(id);
    const next = JSON.stringify([...byGroup].map(([g, members]) => [g, members.map((s) => s.id)]));
    if (next !== order) {
      order = next;
      const focused = document.activeElement;
      put(box, [...byGroup].map(([g, members]) => {
        const { node, list: ul } = groupOf(g);
        put(ul, members.map((s) => { if (!rows.has(s.id)) rows.set(s.id, row()); return rows.get(s.id); }));
        return node;
      }));
      if (focused !== document.activeElement && box.contains(focused)) focused.focus({ preventScroll: true });
    }
    for (const [g, members] of byGroup) {
      const { node, size, bad } = groups.get(g);
      const failing = members.filter(troubled).length;
      node.classList.toggle('plain', byGroup.size === 1 && !g);
      setText(size, String(members.length));
      setText(bad, `${failing} in trouble`);
      bad.hidden = !failing;
    }
    for (const s of list) rows.get(s.id).update(s);
    empty.hidden = list.length > 0;
    if (!list.length) put(empty, nothing());
  }
  let later = 0;
  const unsubscribe = subscribe((what, ids) => {
    if (what === 'connection') { redraw(); tick(); }
    if (what !== 'services') return;
    if (!ids) return redraw();
    for (const id of ids) rows.get(id)?.update(now.services.get(id));
    // Counts, filters and groups follow at a calmer pace than the rows themselves.
    if (!later) later = setTimeout(() => { later = 0; redraw(); }, 250);
  });
  const tick = () => { for (const node of rows.values()) if (node.isConnected) node.tick(); };
  const clock = setInterval(tick, 1000);
  redraw();
  return {
    title: 'Services',
    node: h('div', {}, h('h1', { class: 'sr' }, 'Services'), bar.node, box, empty),
    destroy() { unsubscribe(); clearInterval(clock); clearTimeout(later); },
  };
}

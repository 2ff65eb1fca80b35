// One service: how it is and why, what it uses, what it works through, what it wrote, and what was.

import { get, may, query } from './api.js';
import { h, keep, link, put, setText } from './dom.js';
import { ago, bytes, count, dateTime, NONE, number, span } from './format.js';
import { now, subscribe } from './live.js';
import { chartsCard } from './service_charts.js';
import { configure, formCard } from './service_form.js';
import { logCard } from './service_log.js';
import { actions, causeWords, cpuOf, depth, endedBadly, endWords, isOver, lastLines, memoryOf, meter, nextStart, pills, rateWords, runs, seenNow, stateClass, stateWords, troubled, why } from './service_parts.js';
import { specCard } from './service_spec.js';

const CHARTS_EVERY_MS = 15000;
const TIMELINE_ROWS = 30;
const MOST_TIMELINE_ROWS = 1000; // of one answer of the server
// Several changes of one service come within a moment: its history is asked for once.
const SETTLE_MS = 400;

const card = (title, ...body) => h('section', { class: 'card', 'aria-label': title }, h('header', {}, h('h2', {}, title)), h('div', { class: 'body' }, body));

/** A list of names and values whose values change in place: {node, update(pairs)}. */
function factList() {
  const node = h('dl', { class: 'facts' });
  let values = [];
  return { node, update(pairs) {
    keep(node, pairs.map(([k]) => k).join('\n'), () => { values = pairs.map(() => h('dd')); return pairs.map(([k], i) => [h('dt', {}, k), values[i]]); });
    pairs.forEach(([, v], i) => (Array.isArray(v) ? keep(values[i], v[0], v[1]) : setText(values[i], String(v))));
  } };
}

/** Links to other things by id, as a value of a list of facts. */
const links = (ids, href, name) => [ids.map((id) => `${id} ${name(id)}`).join('\n'), () => ids.map((id, i) => [i ? ', ' : '', link(`${href}${encodeURIComponent(id)}`, {}, name(id))])];
const serviceName = (id) => now.services.get(id)?.name || id;
const targetName = (id) => now.targets.get(id)?.name || id;

function statusFacts(s) {
  const up = runs(s);
  return [
    ['Wanted', s.wanted === 'running' ? 'running' : 'stopped'],
    [`${stateWords(s.state)} since`, `${dateTime(s.since)}, for ${span(seenNow() - s.since)}`],
    ['Because', `${causeWords(s.cause)}${s.reason ? `: ${s.reason}` : ''}`],
    ['PID', up ? s.pid ?? 'unknown' : NONE],
    ...(s.container ? [['Container', s.container.slice(0, 12)]] : []),
    ['Started', up ? dateTime(s.started_at) : NONE],
    ['Uptime', up && s.started_at !== null ? span(seenNow() - s.started_at) : NONE],
    ['Restarts', `${count(s.restarts)} that nobody commanded`],
    ['Last output', s.last_output === null ? 'unknown' : ago(s.last_output, seenNow())],
    ...(s.last_heartbeat === null ? [] : [['Last heartbeat', ago(s.last_heartbeat, seenNow())]]),
    ...(s.waits_for.length ? [['Waits for', links(s.waits_for, '/services/', serviceName)]] : []),
    ...(s.needs.length ? [['Needs', links(s.needs, '/services/', serviceName)]] : []),
    ...(s.targets.length ? [['Streams', links(s.targets, '/streams/', targetName)]] : []),
  ];
}

/** What it uses now: bars with the seed's thresholds, and the rest in numbers. */
function usageCard() {
  const [cpu, memory] = [meter('CPU'), meter('Memory')];
  const facts = factList();
  const age = h('p', { class: 'muted' });
  const node = card('Resources', h('div', { class: 'stack' }, h('div', { class: 'meters' }, h('span', { class: 'k' }, 'CPU'), cpu, h('span', { class: 'k' }, 'Memory'), memory), facts.node, age));
  node.update = (s) => {
    cpu.update(...cpuOf(s));
    memory.update(...memoryOf(s));
    const u = runs(s) ? s.usage : null;
    const rest = (x, f = count) => (x === null || x === undefined ? 'unknown' : f(x));
    facts.node.hidden = !u;
    if (u) {
      facts.update([['Processes', count(u.processes)], ['Threads', count(u.threads)], ['Open descriptors', rest(u.descriptors)], ['Read from storage', rest(u.read_bytes, bytes)], ['Written to storage', rest(u.written_bytes, bytes)],
        ...s.budgets.map((b) => [`Budget of ${b.measure}`, `${b.measure === 'memory' ? bytes(b.most) : b.measure === 'cpu' ? `${number(b.most)} %` : count(b.most)} for ${span(b.during_ms)}, then ${b.restart ? 'restarted' : 'told'}`])]);
    }
    setText(age, u ? `Measured ${ago(u.at, seenNow())}` : runs(s) ? 'Not measured yet.' : 'It does not run: nothing is used.');
  };
  return node;
}

function queueCard() {
  const box = h('div', { class: 'stack' });
  const node = card('Queue', box);
  node.update = (s) => {
    const q = s.queue;
    node.hidden = !q;
    if (!q) return;
    keep(box, JSON.stringify([q, Math.floor(seenNow() / 5000)]), () => {
      const deep = depth(q);
      const of = (state) => (isOver(state) ? 'over' : '');
      return [
        q.error ? h('div', { class: 'notice warn' }, `The queue could not be counted: ${q.error}${q.counts.length ? `. What stands here was counted ${ago(q.at, seenNow())}.` : ''}`) : null,
        h('div', { class: 'stats' }, [['Waiting and in progress', deep === null ? 'unknown' : count(deep)], ['Completed', q.rate_per_hour === null ? 'unknown' : rateWords(q)], ['Oldest waiting', q.oldest_waiting === null ? NONE : span(seenNow() - q.oldest_waiting)], ['Stuck', q.stuck === null ? NONE : count(q.stuck)]]
          .map(([k, v]) => h('div', { class: `stat${k === 'Stuck' && q.stuck ? ' bad' : ''}` }, h('div', { class: 'k' }, k), h('div', { class: 'v' }, v)))),
        q.counts.length ? h('table', { class: 'table queue' }, h('thead', {}, h('tr', {}, h('th', {}, 'State'), h('th', { class: 'num' }, 'Count'))), h('tbody', {}, q.counts.map((c) => h('tr', { class: of(c.state) }, h('td', { class: 'wrap' }, c.state.replaceAll('_', ' ')), h('td', { class: 'num' }, count(c.count)))))) : null,
        h('p', { class: 'muted' }, q.at > 0 ? `Counted ${ago(q.at, seenNow())}` : 'Never counted yet.'),
      ];
    });
  };
  return node;
}

/** How its newest run that is over ended. */
function endCard() {
  const box = h('div', { class: 'stack' });
  const node = card('Last end', box);
  node.update = (s) => {
    const end = s.last_end;
    node.hidden = !end;
    if (end) keep(box, JSON.stringify(end), () => [h('p', { class: 'row' }, h('b', { class: endedBadly(end) ? 'bad' : '' }, endWords(end)), h('span', { class: 'muted' }, dateTime(end.at))), end.last_lines.length ? lastLines(end.last_lines) : h('p', { class: 'muted' }, 'It wrote nothing before.')]);
  };
  return node;
}

function timelineCard(id) {
  const list = h('ul', { class: 'timeline' });
  const more = h('button', { class: 'btn small', type: 'button', hidden: true }, 'Older');
  let [limit, later, turn] = [TIMELINE_ROWS, 0, 0];
  const row = (c) => h('li', {}, h('div', { class: 'row' }, h('span', { class: `pill state ${stateClass(c.state)}` }, stateWords(c.state)), h('time', { class: 'muted' }, dateTime(c.at)), h('span', { class: 'muted' }, [causeWords(c.cause), c.actor ? `by ${c.actor}` : ''].filter(Boolean).join(' '))),
    c.reason ? h('div', { class: 'wrap' }, c.reason) : null,
    c.end ? h('details', { class: 'more' }, h('summary', {}, endWords(c.end)), c.end.last_lines.length ? lastLines(c.end.last_lines) : h('p', { class: 'muted' }, 'It wrote nothing before.')) : null);
  async function load() {
    const mine = ++turn;
    try {
      const { rows } = await get(`/services/${encodeURIComponent(id)}/timeline${query({ limit })}`);
      if (mine !== turn) return;
      // Whoever reads the last lines of an end keeps them open.
      const open = new Set([...list.querySelectorAll('details[open]')].map((d) => d.closest('li').dataset.at));
      put(list, rows.map((c) => { const li = row(c); li.dataset.at = String(c.at); if (open.has(li.dataset.at)) li.querySelector('details')?.setAttribute('open', ''); return li; }));
      if (!rows.length) put(list, h('li', { class: 'muted' }, 'Nothing has happened yet.'));
      more.hidden = rows.length < limit || limit === MOST_TIMELINE_ROWS;
    } catch (e) { if (mine === turn) put(list, h('li', { class: 'notice bad' }, `The timeline could not be read: ${e.message}`)); }
  }
  more.onclick = () => { limit = Math.min(limit * 4, MOST_TIMELINE_ROWS); load(); };
  load();
  return { node: card('Timeline', list, more), refresh() { if (!later) later = setTimeout(() => { later = 0; load(); }, SETTLE_MS); }, destroy() { turn++; clearTimeout(later); } };
}

/** The page of a service that is there. */
function build(node, id) {
  const state = pills();
  const failed = h('div', { class: 'notice bad', role: 'alert', hidden: true });
  const buttons = actions('', (words) => { failed.hidden = !words; setText(failed, words); });
  const p = { name: h('h1', { class: 'wrap' }), sub: h('div', { class: 'row' }), reason: h('div', { class: 'notice' }), why: h('span', { role: 'status' }), next: h('b', { class: 'next' }), facts: factList(), conf: h('span', { class: 'acts' }), usage: usageCard(), queue: queueCard(), end: endCard() };
  put(p.reason, p.why, p.next);
  const [charts, timeline, log] = [chartsCard(id), timelineCard(id), logCard(id)];
  const first = now.services.get(id);
  const form = first.has_form ? formCard(id) : null;
  // What it wrote before it failed stands right below the reason; of a run that ended well it is history.
  const [endFirst, endLater] = [h('div'), h('div')];
  put(node, h('div', { class: 'head' }, h('div', { class: 'grow' }, h('div', { class: 'title' }, p.name, state.node), p.sub), h('div', { class: 'actions' }, p.conf, buttons.node)), failed, p.reason,
    endFirst, h('div', { class: 'two service' }, h('div', { class: 'stack' }, card('Status', p.facts.node), p.usage, p.queue), h('div', { class: 'stack wide' }, log.node, charts.node, endLater, timeline.node),
      h('div', { class: 'stack' }, form?.node, may('operator') ? specCard(id) : null)));
  let shown = null;
  const tick = () => {
    const s = shown;
    p.facts.update(statusFacts(s));
    p.usage.update(s);
    p.queue.update(s);
    setText(p.next, nextStart(s));
  };
  return {
    hasForm: first.has_form,
    charts,
    tick,
    update(s) {
      const changed = !shown || shown.state !== s.state || shown.since !== s.since || shown.health !== s.health;
      const applied = shown && (shown.pending !== s.pending || shown.started_at !== s.started_at);
      shown = s;
      setText(p.name, s.name);
      state.update(s);
      buttons.update(s);
      keep(p.conf, `${s.has_form}`, () => (s.has_form && may('administrator') ? h('button', { class: 'btn', type: 'button', onclick: () => configure(now.services.get(id) || s).then(() => form?.refresh()) }, 'Configure') : null));
      keep(p.sub, JSON.stringify([s.kind, s.group, s.tags, s.description, s.on_fallback, s.pending]), () => [h('span', { class: 'tag kind' }, s.kind), s.on_fallback ? h('span', { class: 'tag warn' }, 'fallback: no container engine can be reached') : null, s.pending ? h('span', { class: 'tag warn' }, 'changed: takes effect at its next start') : null, s.group ? h('span', { class: 'tag' }, s.group) : null, s.tags.map((t) => h('span', { class: 'tag' }, t)), h('span', { class: 'muted wrap' }, s.description)]);
      const words = why(s);
      p.reason.className = `notice ${s.enabled && (s.state === 'failed' || s.health === 'unhealthy') ? 'bad' : troubled(s) ? 'warn' : ''}`;
      p.reason.hidden = !words && s.next_start === null;
      setText(p.why, words);
      p.end.update(s);
      const place = troubled(s) ? endFirst : endLater;
      if (p.end.parentNode !== place) place.append(p.end);
      endFirst.hidden = place !== endFirst || !s.last_end;
      endLater.hidden = place !== endLater || !s.last_end;
      tick();
      if (changed) timeline.refresh();
      if (form && (changed || applied)) form.refresh();
    },
    destroy() { charts.destroy(); timeline.destroy(); log.destroy(); },
  };
}

export function make({ id: rawId }) {
  const id = decodeURIComponent(rawId);
  const node = h('div', { class: 'stack' });
  let built = null;
  const update = () => {
    const s = now.services.get(id);
    // A form that came or went with the file changes what the page is made of.
    if (built && (!s || s.has_form !== built.hasForm)) { built.destroy(); built = null; }
    if (s) {
      if (!built) built = build(node, id);
      return built.update(s);
    }
    const gone = [h('h1', {}, 'There is no such service'), h('p', {}, 'It may have been taken out of its file. ', link('/services', {}, 'To the services'))];
    put(node, h('div', { class: 'empty' }, now.servicesLoaded ? gone : 'Loading …'));
  };
  const unsubscribe = subscribe((what, ids) => {
    if (what === 'services' && (!ids || ids.has(id))) update();
    if (what === 'connection') { built?.tick(); if (now.connected) built?.charts.refresh(); }
  });
  const clock = setInterval(() => built?.tick(), 1000);
  const slow = setInterval(() => { if (document.visibilityState === 'visible' && now.connected) built?.charts.refresh(); }, CHARTS_EVERY_MS);
  update();
  return { title: now.services.get(id)?.name || 'Service', node, destroy() { unsubscribe(); clearInterval(clock); clearInterval(slow); built?.destroy(); } };
}

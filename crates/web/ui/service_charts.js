// What a service used and how its queue was, over time. Four charts over one window.

import { get, query } from './api.js';
import { h, segments, setText } from './dom.js';
import { bytes, count, number } from './format.js';
import { lineChart } from './line_chart.js';
import { now, serverNow } from './live.js';
import { isOver, memoryOf } from './service_parts.js';

const HOUR = 3600000;
// Window: its length, and the step that the server is asked for in milliseconds; null asks for every measurement.
const WINDOWS = { '10 min': [HOUR / 6, null], '1 h': [HOUR, null], '24 h': [24 * HOUR, 300000], '7 d': [168 * HOUR, 1800000], '30 d': [720 * HOUR, 7200000] };
// Every measurement comes this often; what is older than those in memory comes by the minute, on its beginning.
const RAW_MS = 5000;
const MINUTE = 60000;
// A curve goes on over this many steps without a value.
const GAP_STEPS = 2.5;
// Curves of states that a queue can have, in their order.
const COLOURS = ['var(--c2)', 'var(--c4)', 'var(--c3)', 'var(--c8)', 'var(--c6)', 'var(--c7)'];

const depthOf = (queue) => (queue ? Object.entries(queue).filter(([state]) => !isOver(state)).reduce((sum, [, n]) => sum + n, 0) : null);
/** Counts of a queue by state; null where it was not counted. */
const counts = (queue) => (queue ? Object.fromEntries(queue.map((c) => [c.state, c.count])) : null);
const cpuWords = (v) => `${number(v)} %`;

/** One curve for each state of a queue that is not over, and one for all where there are several. */
function queueSeries(rows) {
  const states = [...new Set(rows.flatMap((r) => Object.keys(r.queue || {})))].filter((state) => !isOver(state));
  const each = states.map((state, i) => ({ name: state, colour: COLOURS[(i + 1) % COLOURS.length], faint: true, points: rows.map((r) => [r.at, r.queue ? r.queue[state] ?? 0 : null]) }));
  const all = { name: 'waiting in all', colour: COLOURS[0], area: true, points: rows.map((r) => [r.at, depthOf(r.queue)]) };
  return states.length > 1 ? [all, ...each] : [{ ...all, name: states[0] || all.name }];
}

/** The card: {node, refresh(), destroy()}. */
export function chartsCard(id) {
  const charts = { cpu: lineChart('CPU'), memory: lineChart('Memory'), queue: lineChart('Queue depth'), rate: lineChart('Completed per hour') };
  const titles = { cpu: 'CPU, percent of one core', memory: 'Memory', queue: 'Queue: waiting and in progress', rate: 'Completed per hour' };
  const boxes = Object.fromEntries(Object.entries(charts).map(([key, chart]) => [key, h('figure', { class: 'chartbox', 'data-chart': key }, h('figcaption', {}, titles[key]), chart.node)]));
  const failed = h('p', { class: 'notice bad', hidden: true });
  const seg = segments('Window', Object.keys(WINDOWS).map((k) => [k, k]), (k) => { current = k; draw(); });
  let current = '1 h';
  let turn = 0;
  async function draw() {
    const mine = ++turn;
    seg.draw(current);
    const [length, step] = WINDOWS[current];
    const to = Math.round(serverNow());
    const from = Math.round(to - length);
    try {
      const answer = await get(`/services/${encodeURIComponent(id)}/samples${query({ from, to, step })}`);
      if (mine !== turn) return;
      failed.hidden = true;
      const rows = answer.rows.map((r) => ({ ...r, queue: counts(r.queue) }));
      const window = { from, to, gap: (at) => GAP_STEPS * (answer.step_ms ?? (at % MINUTE === 0 ? MINUTE : RAW_MS)) };
      const points = (key) => rows.map((r) => [r.at, r[key]]);
      const s = now.services.get(id);
      const rolled = rows.some((r) => r.cpu_max !== undefined && r.cpu_max !== r.cpu_avg);
      const pair = (name, colour, avg, max) => (rolled ? [{ name: `${name}, mean`, colour, area: true, points: points(avg) }, { name: 'highest', colour, faint: true, points: points(max) }] : [{ name, colour, points: points(avg) }]);
      charts.cpu.draw({ ...window, series: pair('CPU', 'var(--c1)', 'cpu_avg', 'cpu_max'), format: cpuWords, least: 10 });
      const limit = s ? memoryOf(s)[1] : null;
      charts.memory.draw({ ...window, series: pair('memory', 'var(--c3)', 'memory_avg', 'memory_max'), format: bytes, least: 1024 * 1024, base: 1024, limit: limit ? [limit, 'limit'] : null });
      const queued = Boolean(s?.queue) || rows.some((r) => r.queue);
      boxes.queue.hidden = boxes.rate.hidden = !queued;
      charts.queue.draw({ ...window, series: queueSeries(rows), format: count, least: 4, empty: 'The queue was not counted in this window.' });
      charts.rate.draw({ ...window, series: [{ name: 'completed per hour', colour: 'var(--c7)', points: points('rate_per_hour') }], format: (v) => count(Math.round(v)), least: 4, empty: 'The rate was not counted in this window.' });
    } catch (e) {
      if (mine !== turn) return;
      failed.hidden = false;
      setText(failed, `The history could not be read: ${e.message}`);
    }
  }
  queueMicrotask(draw);
  return {
    node: h('section', { class: 'card', 'aria-label': 'History' }, h('header', {}, h('h2', {}, 'History'), h('div', { class: 'tools' }, seg.node)), h('div', { class: 'body' }, failed, h('div', { class: 'charts' }, Object.values(boxes)))),
    refresh: draw,
    destroy() { turn++; for (const chart of Object.values(charts)) chart.destroy(); },
  };
}

// The response chart: phases stacked over time, failures marked on the axis. SVG, no library. It is drawn for the width it
// has, so that letters stay readable on a phone.

import { h, put, s } from './dom.js';
import { dateTime, dayMonth, hourMinute, millis, phaseColour, phaseName, PHASES, NONE } from './format.js';

const H = 220;
const TICK_PX = 110;
const PAD = { left: 52, right: 10, top: 10, bottom: 24 };
const DAY_MS = 86400000;

const axis = (ms) => (ms >= 1000 ? `${Math.round(ms / 10) / 100} s` : millis(ms));

function niceMax(value) {
  const step = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  for (const m of [1, 2, 4, 5, 8, 10]) if (m * step >= value) return m * step;
  return 10 * step;
}

/**
 * Answers {node, draw(points, from, to, gap), destroy}. `points`: [{at, total, phases: {name: ms}, bad: bool, label}], oldest
 * first; a gap longer than `gap` breaks the area.
 */
export function responseChart() {
  const node = h('div', { class: 'chart' });
  let shown = null;
  let width = 0;
  const observer = new ResizeObserver(() => { if (shown && Math.abs(node.clientWidth - width) > 1) paint(); });
  const paint = () => { width = node.clientWidth; paintChart(node, width, ...shown); };
  observer.observe(node);
  return { node, draw(...data) { shown = data; paint(); }, destroy() { observer.disconnect(); } };
}

function paintChart(box, W, points, from, to, gap) {
  if (W <= PAD.left + PAD.right) return;
  if (!points.length) { put(box, h('p', { class: 'empty' }, 'No looks in this window.')); return; }
  const names = PHASES.filter((p) => points.some((x) => x.phases[p]));
  const max = niceMax(Math.max(...points.map((p) => p.total || 0), 5));
  const x = (at) => PAD.left + ((at - from) / (to - from)) * (W - PAD.left - PAD.right);
  const y = (ms) => H - PAD.bottom - (Math.min(ms, max) / max) * (H - PAD.top - PAD.bottom);
  const svg = s('svg', { viewBox: `0 0 ${W} ${H}`, width: W, height: H, role: 'img', 'aria-label': `response time, at most ${millis(max)}` });
  for (let i = 0; i <= 4; i++) {
    const ms = (max / 4) * i;
    svg.append(s('line', { class: 'grid', x1: PAD.left, x2: W - PAD.right, y1: y(ms), y2: y(ms) }), s('text', { x: PAD.left - 6, y: y(ms) + 4, 'text-anchor': 'end' }, axis(ms)));
  }
  const ticks = Math.max(2, Math.min(8, Math.floor((W - PAD.left) / TICK_PX)));
  for (let i = 0; i <= ticks; i++) {
    const at = from + ((to - from) / ticks) * i;
    const label = to - from > 2 * DAY_MS ? dayMonth(at) : hourMinute(at);
    svg.append(s('text', { x: x(at), y: H - 6, 'text-anchor': i === 0 ? 'start' : i === ticks ? 'end' : 'middle' }, label));
  }
  for (const run of runs(points, gap)) {
    const base = run.map(() => 0);
    for (const name of names) {
      const lower = run.map((p, i) => `${x(p.at).toFixed(1)} ${y(base[i]).toFixed(1)}`);
      run.forEach((p, i) => { base[i] += p.phases[name] || 0; });
      const upper = run.map((p, i) => `${x(p.at).toFixed(1)} ${y(base[i]).toFixed(1)}`);
      svg.append(s('path', { d: `M${upper.join('L')}L${lower.reverse().join('L')}Z`, fill: phaseColour(name), 'fill-opacity': 0.55, stroke: phaseColour(name), 'stroke-width': 0.8 }));
    }
  }
  const bad = points.filter((p) => p.bad).map((p) => `M${x(p.at).toFixed(1)} ${H - PAD.bottom}v-9`).join('');
  if (bad) svg.append(s('path', { d: bad, stroke: 'var(--beat-down)', 'stroke-width': 2.5 }));
  const legend = h('div', { class: 'legend' }, names.map((n) => h('span', {}, h('i', { style: { background: phaseColour(n) } }), phaseName(n))), bad ? h('span', {}, h('i', { style: { background: 'var(--beat-down)' } }), 'failed look') : null);
  put(box, svg, legend);
  pointer(box, svg, points, names, x);
}

function runs(points, gap) {
  const out = [];
  for (const p of points) {
    const run = out[out.length - 1];
    if (run && p.at - run[run.length - 1].at <= gap) run.push(p);
    else out.push([p]);
  }
  // A lone point still deserves to be seen.
  return out.map((r) => (r.length === 1 ? [r[0], { ...r[0], at: r[0].at + gap / 4 }] : r));
}

function pointer(box, svg, points, names, x) {
  const line = s('line', { class: 'cursor', y1: PAD.top, y2: H - PAD.bottom, visibility: 'hidden' });
  const tip = h('div', { class: 'tip', hidden: true });
  svg.append(line);
  box.append(tip);
  const hide = () => { line.setAttribute('visibility', 'hidden'); tip.hidden = true; };
  svg.addEventListener('pointerleave', hide);
  svg.addEventListener('pointermove', (e) => {
    const rect = svg.getBoundingClientRect();
    const at = e.clientX - rect.left;
    const p = points.reduce((a, b) => (Math.abs(x(b.at) - at) < Math.abs(x(a.at) - at) ? b : a));
    line.setAttribute('x1', x(p.at));
    line.setAttribute('x2', x(p.at));
    line.setAttribute('visibility', 'visible');
    tip.hidden = false;
    tip.style.left = `${Math.min(Math.max(0, e.clientX - rect.left + 12), Math.max(0, rect.width - 170))}px`;
    put(tip, h('div', { class: 'muted' }, dateTime(p.at)), h('div', {}, h('b', {}, p.total === null ? NONE : millis(p.total)), p.label ? ` ${p.label}` : ''),
      names.filter((n) => p.phases[n]).map((n) => h('div', { class: 'muted' }, `${phaseName(n)} ${millis(p.phases[n])}`)));
  });
}

/** A strip of statuses over time from changes [{at, from, to}] in any order. */
export function statusStrip(rows, from, to, current) {
  const changes = [...rows].sort((a, b) => a.at - b.at);
  const node = h('div', { class: 'strip', role: 'img', 'aria-label': 'status over time' });
  let at = from;
  let status = changes.length ? changes[0].from : current;
  const add = (until, next) => {
    const share = ((Math.min(until, to) - at) / (to - from)) * 100;
    if (share > 0) node.append(h('i', { class: status, style: { width: `${share}%` }, title: `${status} until ${dateTime(until)}` }));
    at = Math.max(at, Math.min(until, to));
    status = next;
  };
  for (const c of changes) if (c.at >= from) add(c.at, c.to); else status = c.to;
  add(to, status);
  return node;
}

// Curves over time: one or more values, an optional limit, gaps where nothing was measured. SVG, no library, drawn for the width
// it has.

import { h, put, s } from './dom.js';
import { dateTime, dayMonth, hourMinute, NONE } from './format.js';

const HEIGHT = 150;
const TICK_PX = 110;
const PAD = { left: 64, right: 10, top: 8, bottom: 22 };
const DAY_MS = 86400000;
const LINES = 2;

/** The least number that is not less than `value` and is 1, 2, 3, 4, 5, 6 or 8 times a power of `base`. */
function ceiling(value, base) {
  const step = base ** Math.floor(Math.log(Math.max(value, 1e-9)) / Math.log(base));
  const factors = base === 10 ? [1, 2, 4, 5, 6, 8, 10] : [1, 2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024];
  return (factors.find((f) => f * step >= value * 0.999) ?? base) * step;
}

/** The runs of points without a gap or an unknown value between them. */
function runs(points, gap) {
  const out = [];
  let last = null;
  for (const p of points) {
    if (p[1] === null || p[1] === undefined) { last = null; continue; }
    if (last !== null && p[0] - last <= gap(last)) out[out.length - 1].push(p);
    else out.push([p]);
    last = p[0];
  }
  return out;
}

/**
 * Answers {node, draw({series, from, to, gap, format, least, base, limit, empty}), destroy}. `series`: [{name, colour, points: [[at, value], …],
 * faint?, area?}], oldest first; `gap(at)` is how long after the point of that time the next may come without a break; `least` is the
 * least top of the axis, `base` 10 or 1024; `limit` is [value, words] of a line across.
 */
export function lineChart(label) {
  const node = h('div', { class: 'chart lines' });
  let shown = null;
  let width = 0;
  const paint = () => { width = node.clientWidth; paintLines(node, width, label, shown); };
  const observer = new ResizeObserver(() => { if (shown && Math.abs(node.clientWidth - width) > 1) paint(); });
  observer.observe(node);
  return { node, draw(data) { shown = data; paint(); }, destroy() { observer.disconnect(); } };
}

function paintLines(box, W, label, { series, from, to, gap, format, least = 1, base = 10, limit = null, empty }) {
  if (W <= PAD.left + PAD.right) return;
  const known = series.filter((x) => x.points.some((p) => p[1] !== null && p[1] !== undefined));
  if (!known.length) { put(box, h('p', { class: 'empty small' }, empty || 'Nothing was measured in this window.')); return; }
  const highest = Math.max(...known.flatMap((x) => x.points.map((p) => p[1] ?? 0)));
  // A limit that is far away would flatten the curve: it is drawn where the curve comes near it.
  const near = limit && limit[0] <= highest * 4;
  const max = ceiling(Math.max(highest, near ? limit[0] : 0, least), base);
  const x = (at) => PAD.left + ((at - from) / (to - from)) * (W - PAD.left - PAD.right);
  const floor = HEIGHT - PAD.bottom;
  const y = (v) => floor - (Math.min(v, max) / max) * (floor - PAD.top);
  const newest = known[0].points.findLast((p) => p[1] !== null && p[1] !== undefined);
  const svg = s('svg', { viewBox: `0 0 ${W} ${HEIGHT}`, width: W, height: HEIGHT, role: 'img', 'aria-label': `${label}, at most ${format(highest)}, newest ${format(newest[1])}` });
  for (let i = 0; i <= LINES; i++) {
    const v = (max / LINES) * i;
    svg.append(s('line', { class: 'grid', x1: PAD.left, x2: W - PAD.right, y1: y(v), y2: y(v) }), s('text', { x: PAD.left - 6, y: y(v) + 4, 'text-anchor': 'end' }, format(v)));
  }
  const ticks = Math.max(1, Math.min(6, Math.floor((W - PAD.left) / TICK_PX)));
  for (let i = 0; i <= ticks; i++) {
    const at = from + ((to - from) / ticks) * i;
    svg.append(s('text', { x: x(at), y: HEIGHT - 5, 'text-anchor': i === 0 ? 'start' : i === ticks ? 'end' : 'middle' }, to - from > 2 * DAY_MS ? dayMonth(at) : hourMinute(at)));
  }
  if (near) svg.append(s('line', { class: 'limit', x1: PAD.left, x2: W - PAD.right, y1: y(limit[0]), y2: y(limit[0]) }));
  for (const one of known) {
    const colour = one.colour;
    for (const run of runs(one.points, gap)) {
      // A lone point still deserves to be seen.
      const points = run.length === 1 ? [run[0], [run[0][0] + gap(run[0][0]) / 8, run[0][1]]] : run;
      const d = points.map((p) => `${x(p[0]).toFixed(1)} ${y(p[1]).toFixed(1)}`).join('L');
      if (known.length === 1 || one.area) svg.append(s('path', { d: `M${x(points[0][0]).toFixed(1)} ${floor}L${d}L${x(points[points.length - 1][0]).toFixed(1)} ${floor}Z`, fill: colour, 'fill-opacity': 0.16 }));
      svg.append(s('path', { d: `M${d}`, fill: 'none', stroke: colour, 'stroke-width': one.faint ? 1 : 1.7, 'stroke-opacity': one.faint ? 0.55 : 1, 'stroke-linejoin': 'round' }));
    }
  }
  const legend = known.length > 1 || near ? h('div', { class: 'legend' }, known.map((one) => h('span', {}, h('i', { style: { background: one.colour, opacity: one.faint ? 0.55 : 1 } }), one.name)), near ? h('span', {}, h('i', { class: 'limit' }), limit[1]) : null) : null;
  put(box, svg, legend);
  pointer(box, svg, known, x, format);
}

function pointer(box, svg, series, x, format) {
  const line = s('line', { class: 'cursor', y1: PAD.top, y2: HEIGHT - PAD.bottom, visibility: 'hidden' });
  const tip = h('div', { class: 'tip', hidden: true });
  svg.append(line);
  box.append(tip);
  const times = [...new Set(series.flatMap((one) => one.points.map((p) => p[0])))];
  const values = series.map((one) => [one.name, new Map(one.points)]);
  svg.addEventListener('pointerleave', () => { line.setAttribute('visibility', 'hidden'); tip.hidden = true; });
  svg.addEventListener('pointermove', (e) => {
    const rect = svg.getBoundingClientRect();
    const at = e.clientX - rect.left;
    const nearest = times.reduce((a, b) => (Math.abs(x(b) - at) < Math.abs(x(a) - at) ? b : a));
    line.setAttribute('x1', x(nearest));
    line.setAttribute('x2', x(nearest));
    line.setAttribute('visibility', 'visible');
    tip.hidden = false;
    tip.style.left = `${Math.min(Math.max(0, at + 12), Math.max(0, rect.width - 190))}px`;
    put(tip, h('div', { class: 'muted' }, dateTime(nearest)), values.map(([name, map]) => {
      const v = map.get(nearest);
      return h('div', {}, h('b', {}, v === null || v === undefined ? NONE : format(v)), ` ${name}`);
    }));
  });
}

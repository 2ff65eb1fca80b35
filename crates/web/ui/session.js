// A session that is held: what it is doing, and what is measured of it second by second. One card of the stream's page, and the
// words that the list has for it.

import { get } from './api.js';
import { h, put, s, segments, setText } from './dom.js';
import { clock, count, number, NONE, span } from './format.js';
import { now, serverNow, subscribe } from './live.js';

const SECONDS = 60;
const HEIGHT = 132;
const PAD = { left: 64, right: 10, top: 8, bottom: 20 };
const LABEL = { live: 'Live', connecting: 'Connecting', waiting: 'No session' };
const PILL = { live: 'up', connecting: 'unknown', waiting: 'down' };

const value = (v, f) => (v === null || v === undefined ? NONE : f(v));
const ms = (x) => (x >= 10000 ? `${number(x / 1000)} s` : `${x < 10 ? Math.round(x * 10) / 10 : Math.round(x)} ms`);
const rate = (x) => (x >= 1e6 ? `${(x / 1e6).toFixed(2)} Mbit/s` : `${Math.round(x / 1e3)} kbit/s`);
const tenth = (x) => String(Math.round(x * 10) / 10);

/** The tag of a stream that is held, for the list; null for one that is not. */
export function sessionTag(t) {
  if (t.watch !== 'continuous') return null;
  const state = t.session?.state;
  const title = { live: 'A session is held: measured every second', connecting: 'A session is being opened', waiting: 'The next session is opened soon' }[state] || 'Watched continuously, but not now';
  return h('span', { class: `tag held ${state || ''}`, title }, 'held');
}

/** What comes now, in short: 1.5 Mbit/s, 25 fps. Empty when nothing is known. */
export function liveWords(id) {
  const v = now.live.get(id);
  if (!v) return '';
  return [v.bitrate === null ? null : rate(v.bitrate), v.fps === null ? null : `${tenth(v.fps)} fps`].filter(Boolean).join(', ');
}

// Places in the array of one second, as the API describes them.
const [AT, BITS, , FRAMES, LOST, JITTER, STEP, SILENCE] = [0, 1, 2, 3, 4, 5, 6, 7];
const CURVES = { bits: ['Bit rate', BITS, (x) => (x % 1e6 ? rate(x) : `${x / 1e6} Mbit/s`)], frames: ['Pictures', FRAMES, (x) => `${number(x)} /s`], jitter: ['Jitter', JITTER, ms], silence: ['Silence', SILENCE, ms], step: ['Time steps', STEP, ms], lost: ['Lost', LOST, count] };

/** The first number of 1, 1.5, 2, 3, 5, 8, 10 times a power of ten that is not less. */
function ceiling(x) {
  const step = 10 ** Math.floor(Math.log10(Math.max(x, 1e-9)));
  return [1, 1.5, 2, 3, 5, 8, 10].find((m) => m * step >= x * 0.999) * step;
}

/** Bars of the last minute: {node, draw(seconds, at, curve)}. Seconds in which packets were lost have a mark below. */
function minute() {
  const node = h('div', { class: 'chart minute' });
  const bars = s('path', { class: 'bars' });
  const lost = s('path', { class: 'lost' });
  const [top, half] = [s('text', { 'text-anchor': 'end' }), s('text', { 'text-anchor': 'end' })];
  const lines = [0, 0.5, 1].map(() => s('line', { class: 'grid' }));
  const times = [60, 40, 20].map((n) => [n, s('text', { 'text-anchor': n === 60 ? 'start' : 'middle' }, `${n} s ago`)]);
  const svg = s('svg', { role: 'img', height: HEIGHT }, lines, top, half, times.map(([, t]) => t), bars, lost);
  const tip = h('div', { class: 'tip', hidden: true });
  put(node, svg, tip);
  let shown = null;
  let width = 0;
  const x = (at, end) => width - PAD.right - ((end - at) / (SECONDS * 1000)) * (width - PAD.left - PAD.right);
  const paint = () => {
    width = node.clientWidth;
    if (!shown || width <= PAD.left + PAD.right) return;
    const { seconds, end, curve: [name, place, words] } = shown;
    const floor = HEIGHT - PAD.bottom;
    const max = ceiling(Math.max(...seconds.map((p) => p[place] ?? 0), place === BITS ? 1000 : 1));
    const y = (v) => floor - (v / max) * (floor - PAD.top);
    const wide = Math.max(1, (width - PAD.left - PAD.right) / SECONDS - 1.5);
    const seen = seconds.filter((p) => p[AT] > end - SECONDS * 1000);
    svg.setAttribute('viewBox', `0 0 ${width} ${HEIGHT}`);
    svg.setAttribute('width', width);
    bars.setAttribute('d', seen.filter((p) => p[place] !== null).map((p) => `M${(x(p[AT], end) - wide).toFixed(1)} ${floor}v${(Math.min(0, y(p[place]) - floor) - 0.5).toFixed(1)}h${wide.toFixed(1)}V${floor}z`).join(''));
    lost.setAttribute('d', seen.filter((p) => p[LOST] > 0).map((p) => `M${(x(p[AT], end) - wide).toFixed(1)} ${floor + 1}h${wide.toFixed(1)}v4h-${wide.toFixed(1)}z`).join(''));
    lines.forEach((l, i) => { const at = y(max * [0, 0.5, 1][i]); for (const [k, v] of [['x1', PAD.left], ['x2', width - PAD.right], ['y1', at], ['y2', at]]) l.setAttribute(k, v); });
    for (const [t, v] of [[top, max], [half, max / 2]]) { setText(t, words(v)); t.setAttribute('x', PAD.left - 6); t.setAttribute('y', y(v) + 4); }
    for (const [n, t] of times) { t.setAttribute('x', x(end - n * 1000, end)); t.setAttribute('y', HEIGHT - 5); }
    const last = seen[seen.length - 1];
    svg.setAttribute('aria-label', `${name} of the last minute, at most ${words(max)}${last ? `, now ${value(last[place], words)}` : ''}`);
  };
  svg.addEventListener('pointerleave', () => { tip.hidden = true; });
  svg.addEventListener('pointermove', (e) => {
    const at = e.clientX - svg.getBoundingClientRect().left;
    const p = shown?.seconds.reduce((a, b) => (!a || Math.abs(x(b[AT], shown.end) - at) < Math.abs(x(a[AT], shown.end) - at) ? b : a), null);
    tip.hidden = !p;
    if (!p) return;
    tip.style.left = `${Math.min(Math.max(0, at + 12), Math.max(0, width - 170))}px`;
    put(tip, h('div', { class: 'muted' }, clock(p[AT])), h('div', {}, h('b', {}, value(p[shown.curve[1]], shown.curve[2]))), p[LOST] ? h('div', { class: 'muted' }, `${count(p[LOST])} packets lost`) : null);
  });
  const observer = new ResizeObserver(() => { if (Math.abs(node.clientWidth - width) > 1) paint(); });
  observer.observe(node);
  return { node, draw(seconds, end, curve) { shown = { seconds, end, curve }; paint(); }, destroy() { observer.disconnect(); } };
}

/** What the session is doing, in a sentence. */
function sentence(t) {
  const o = t.session;
  if (!o) return t.paused ? 'No session is held while the stream is paused.' : 'No session is held.';
  const again = o.reconnects ? ` Opened again ${o.reconnects === 1 ? 'once' : `${count(o.reconnects)} times`}.` : '';
  const proof = o.believed_at ? ' Sessions before it did not last: this one counts when it has lasted 10 s.' : '';
  if (o.state === 'live') return `Media flows for ${span(serverNow() - o.since)}.${proof}${again}`;
  if (o.state === 'connecting') return `A session is being opened.${again}`;
  const left = Math.max(0, o.until - serverNow());
  return `The next session is opened ${left < 1000 ? 'now' : `in ${span(left)}`}.${again}`;
}

/** The card of a stream that is watched continuously: {node, update(t), destroy}. */
export function sessionCard(id) {
  let seconds = [];
  let curve = 'bits';
  const chart = minute();
  const seg = segments('Curve', Object.entries(CURVES).map(([k, [label]]) => [k, label]), (k) => { curve = k; draw(); });
  const pill = h('span', { class: 'pill' });
  const words = h('p', { class: 'muted' });
  const measures = h('dl', { class: 'measures' });
  const node = h('section', { class: 'card session', 'aria-label': 'Session' }, h('header', {}, h('h2', {}, 'Session'), pill, h('div', { class: 'tools' }, seg.node)), h('div', { class: 'body stack' }, words, measures, chart.node));
  const values = new Map();
  const measure = (label, text) => {
    if (!values.has(label)) {
      const dd = h('dd');
      values.set(label, dd);
      measures.append(h('div', {}, h('dt', {}, label), dd));
    }
    setText(values.get(label), text);
  };
  const draw = () => {
    const t = now.targets.get(id);
    if (!t || t.watch !== 'continuous') return;
    const state = t.session?.state;
    const v = now.live.get(id);
    const last = v?.second;
    pill.className = `pill ${PILL[state] || 'paused'}`;
    setText(pill, LABEL[state] || 'Not held');
    setText(words, sentence(t));
    measure('Bit rate', value(v?.bitrate, rate));
    measure('Pictures', value(v?.fps, (x) => `${tenth(x)} fps`));
    measure('Packets lost', value(v?.loss, (x) => `${number(x * 100)} %`));
    measure('Jitter', value(last?.[JITTER], ms));
    measure('Time steps', value(last?.[STEP], ms));
    measure('Silence', value(last?.[SILENCE], ms));
    measure('Key frame every', value(v?.key, (x) => (x >= 1000 ? `${tenth(x / 1000)} s` : ms(x))));
    measure('Reconnects', value(t.session?.reconnects, count));
    seg.draw(curve);
    chart.draw(seconds, serverNow(), CURVES[curve]);
  };
  const load = async () => {
    try {
      const answer = await get(`/targets/${encodeURIComponent(id)}/live`);
      const newest = answer.seconds.length ? answer.seconds[answer.seconds.length - 1][AT] : 0;
      seconds = [...answer.seconds, ...seconds.filter((p) => p[AT] > newest)];
      draw();
    } catch { /* the next second comes by itself */ }
  };
  const unsubscribe = subscribe((what, ids) => {
    if (what === 'list') load();
    if (what !== 'live' || !ids.has(id)) return;
    const second = now.live.get(id)?.second;
    if (second && second[AT] > (seconds[seconds.length - 1]?.[AT] ?? 0)) seconds = [...seconds.slice(1 - SECONDS), second];
    draw();
  });
  // The minute moves on also while nothing comes.
  const tick = setInterval(draw, 1000);
  load();
  queueMicrotask(draw);
  return { node, update: draw, destroy() { unsubscribe(); clearInterval(tick); chart.destroy(); } };
}

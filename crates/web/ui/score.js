// The health score of a stream with its parts, and what of it was not measured.

import { h, keep } from './dom.js';
import { NONE, number } from './format.js';

const NAMES = { status: 'Status', bitrate: 'Bit rate', packet_loss: 'Packet loss', latency: 'Latency' };
const SHOWN = {
  status: (v) => (v === 1 ? 'up' : v === 0 ? 'down' : 'degraded'),
  bitrate: (v) => `${number(v / 1000)} kbit/s`,
  packet_loss: (v) => `${number(v * 100)} %`,
  latency: (v) => `${number(v)} ms`,
};

/** The score as one number; a dash while the stream is not judged. */
export const scoreWords = (t) => (t.score ? number(Math.round(t.score.value)) : NONE);

function table(score) {
  const head = ['Part', 'Measured', 'Good to', 'Weight'].map((x, i) => h('th', i ? { class: 'num' } : {}, x));
  const row = (p) => h('tr', {}, h('td', {}, NAMES[p.part] || p.part),
    h('td', { class: 'num' }, p.measured === null ? 'not measured' : SHOWN[p.part]?.(p.measured) ?? number(p.measured)),
    h('td', { class: 'num' }, p.value === null ? NONE : `${Math.round(p.value * 100)} %`), h('td', { class: 'num' }, number(p.weight)));
  return h('div', { class: 'scroll-x' }, h('table', { class: 'table' }, h('thead', {}, h('tr', {}, head)), h('tbody', {}, score.parts.filter((p) => p.weight > 0).map(row))));
}

function words(t) {
  if (!t.score) return 'Not judged now: there is no score.';
  if (t.status === 'down') return 'A stream that is down has the score 0, whatever was measured.';
  const missing = t.score.missing.map((part) => (NAMES[part] || part).toLowerCase());
  if (!missing.length) return 'Everything that counts was measured.';
  return `Not measured: ${missing.join(', ')}. That counts neither as good nor as bad; the score stands on ${Math.round(t.score.measured_ratio * 100)} % of all weights.`;
}

/** What the card shows: {node, update(t)}. */
export function scoreParts() {
  const node = h('div', { class: 'stack' });
  return { node, update: (t) => keep(node, JSON.stringify([t.score, t.status]), () => [t.score ? table(t.score) : null, h('p', { class: 'muted' }, words(t))]) };
}

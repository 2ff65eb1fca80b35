// The heartbeat bar: one SVG with one path per colour, so that thousands of beats are four nodes.

import { s } from './dom.js';
import { clock, millis, STATUS } from './format.js';

const LETTER = { u: 'up', g: 'degraded', d: 'down', '?': 'unknown', p: 'paused', m: 'maintenance' };
const SHOWN = 40;

/** Whether a look told nothing about the stream: it failed, and nobody knows how the stream is. */
const isBlind = (beat) => beat[1] === 'f' && beat[2] === '?';

/** Makes a bar; call its `update(beats)` with [[at, grade, status letter, took_ms], ...], oldest first. */
export function beatBar(shown = SHOWN) {
  const paths = { u: s('path', { class: 'u' }), g: s('path', { class: 'g' }), d: s('path', { class: 'd' }), x: s('path', { class: 'x' }) };
  const title = s('title');
  const node = s('svg', { class: 'beats', viewBox: `0 0 ${shown * 6} 24`, preserveAspectRatio: 'none', role: 'img' }, title, Object.values(paths));
  let key = '';
  node.update = (beats) => {
    const list = beats.slice(-shown);
    const next = list.length ? `${list.length} ${list[0][0]} ${list[list.length - 1][0]}` : '';
    if (next === key) return;
    key = next;
    const d = { u: '', g: '', d: '', x: '' };
    for (let i = 0; i < shown; i++) {
      const beat = list[i - (shown - list.length)];
      const colour = !beat || isBlind(beat) ? 'x' : beat[1] === 'f' ? 'd' : beat[1] === 'w' ? 'g' : 'u';
      const [y, height] = beat ? [1, 22] : [8, 8];
      d[colour] += `M${i * 6 + 1} ${y}h4v${height}h-4z`;
    }
    for (const [colour, path] of Object.entries(paths)) path.setAttribute('d', d[colour]);
    const bad = list.filter((b) => b[1] === 'f' && !isBlind(b)).length;
    title.textContent = list.length ? `${list.length} looks, ${bad} failed; newest ${clock(list[list.length - 1][0])}: ${STATUS[LETTER[list[list.length - 1][2]]]}, ${millis(list[list.length - 1][3])}` : 'no looks yet';
    node.setAttribute('aria-label', title.textContent);
  };
  return node;
}

// The output of a service: its newest lines, then every new one as it comes. Holds still when paused or when somebody reads further
// up, finds words on the server, and never keeps more lines on the page than it can bear.

import { get, query } from './api.js';
import { h, put, segments, setText } from './dom.js';
import { clock, count, dateTime } from './format.js';
import { plain } from './service_parts.js';

// Lines on the page, and lines that wait while it holds still: more than anybody reads, less than a browser minds.
const MOST_LINES = 2000;
const FIRST_LINES = 300;
const SEARCH_AFTER_MS = 300;
const RETRY_MIN_MS = 500;
const RETRY_MAX_MS = 10000;
// This near to its end a log counts as being at its end.
const NEAR_PX = 24;
const STREAMS = [['', 'Both'], ['stdout', 'Output'], ['stderr', 'Errors']];

/** The text with the searched word marked. */
function marked(text, word) {
  if (!word) return text;
  const [low, needle] = [text.toLowerCase(), word.toLowerCase()];
  // Letters whose small form has another length would shift every place: then nothing is marked.
  if (low.length !== text.length) return text;
  const out = [];
  let at = 0;
  for (let next = low.indexOf(needle); next >= 0; next = low.indexOf(needle, at)) {
    out.push(text.slice(at, next), h('mark', {}, text.slice(next, next + needle.length)));
    at = next + needle.length;
  }
  return [...out, text.slice(at)];
}

const lineNode = (l, word) => h('div', { class: `line ${l.stream}` }, h('time', { title: dateTime(l.at) }, clock(l.at)), h('span', { class: 'mark', title: l.stream }, l.stream === 'stderr' ? 'err' : ''), h('span', { class: 'text' }, marked(plain(l.text), word), l.partial ? h('span', { class: 'faint', title: 'The line was too long to be kept as one' }, ' …') : null));

/** The card: {node, destroy()}. */
export function logCard(id) {
  const path = `/services/${encodeURIComponent(id)}/logs`;
  const view = { search: '', stream: '', paused: false };
  let held = []; // came while the page holds still, newest last
  let lost = 0; // of those, how many did not fit
  let cursor = '';
  let source = null;
  let retry = RETRY_MIN_MS;
  let [timer, later, turn] = [0, 0, 0];

  const box = h('div', { class: 'log', role: 'log', 'aria-live': 'off', 'aria-label': 'Output', tabindex: 0 });
  const status = h('span', { class: 'conn', role: 'status' });
  const words = h('p', { class: 'muted logwords', role: 'status' });
  const newer = h('button', { class: 'btn small primary newer', type: 'button', hidden: true, onclick: () => { view.paused = false; drawPause(); flush(true); } });
  const pause = h('button', { class: 'btn small', type: 'button', onclick: () => { view.paused = !view.paused; drawPause(); if (!view.paused) flush(true); } });
  const wrap = h('button', { class: 'btn small', type: 'button', 'aria-pressed': 'true', onclick: () => { const on = !box.classList.contains('wrapped'); box.classList.toggle('wrapped', on); wrap.setAttribute('aria-pressed', String(on)); } }, 'Wrap');
  box.classList.add('wrapped');
  const search = h('input', { class: 'input search', type: 'search', placeholder: 'Find in the log', 'aria-label': 'Find in the log', autocomplete: 'off', spellcheck: 'false', oninput: () => { clearTimeout(later); later = setTimeout(restart, SEARCH_AFTER_MS); } });
  search.addEventListener('keydown', (e) => { if (e.key === 'Escape' && search.value) { search.value = ''; restart(); } });
  const streams = segments('Which output', STREAMS, (v) => { view.stream = v; restart(); });
  const drawPause = () => { setText(pause, view.paused ? 'Resume' : 'Pause'); pause.setAttribute('aria-pressed', String(view.paused)); };
  const say = (on, text) => { status.classList.toggle('on', on); setText(status, text); };

  const atEnd = () => box.scrollHeight - box.scrollTop - box.clientHeight < NEAR_PX;
  let follows = true; // whether the newest line is in sight
  box.addEventListener('scroll', () => { follows = atEnd(); if (follows && !view.paused && held.length) flush(false); }, { passive: true });

  const drawHeld = () => {
    newer.hidden = !held.length;
    if (held.length) setText(newer, `↓ ${count(held.length + lost)} new line${held.length + lost === 1 ? '' : 's'}`);
  };
  const append = (lines) => {
    if (!lines.length) return;
    box.querySelector('.nolines')?.remove();
    box.append(...lines.map((l) => lineNode(l, view.search)));
    while (box.children.length > MOST_LINES) box.firstChild.remove();
    box.scrollTop = box.scrollHeight;
  };
  function flush(jump) {
    if (lost) box.append(h('div', { class: 'line gap' }, `${count(lost)} lines came meanwhile that are not shown; the download has them.`));
    const lines = held;
    held = [];
    lost = 0;
    if (jump) follows = true;
    append(lines);
    drawHeld();
  }
  // Many lines come in one go: they become nodes once a frame, and what no frame could show is never made.
  let frame = 0;
  const come = (l) => {
    cursor = l.cursor;
    held.push(l);
    if (held.length > MOST_LINES) { held.shift(); lost++; }
    if (!frame) frame = requestAnimationFrame(() => { frame = 0; view.paused || !follows ? drawHeld() : flush(false); });
  };

  function close() {
    clearTimeout(timer);
    source?.close();
    source = null;
  }
  function follow() {
    close();
    source = new EventSource(`/api/v1${path}/stream${query({ cursor, stream: view.stream, search: view.search })}`);
    const on = (name, f) => source.addEventListener(name, (e) => f(e.data ? JSON.parse(e.data) : null));
    source.onopen = () => { retry = RETRY_MIN_MS; say(true, 'live'); };
    on('lines', (x) => { x.lines.forEach(come); cursor = x.cursor || cursor; });
    source.onerror = () => {
      close();
      say(false, 'not live');
      timer = setTimeout(follow, retry + Math.random() * retry * 0.3);
      retry = Math.min(retry * 2, RETRY_MAX_MS);
    };
  }
  async function restart() {
    const mine = ++turn;
    close();
    clearTimeout(later);
    view.search = search.value.trim();
    streams.draw(view.stream);
    [held, lost] = [[], 0];
    drawHeld();
    try {
      const answer = await get(`${path}${query({ lines: FIRST_LINES, search: view.search, stream: view.stream })}`);
      if (mine !== turn) return;
      follows = true;
      put(box);
      append(answer.lines);
      if (!answer.lines.length) put(box, h('p', { class: 'nolines muted' }, view.search || view.stream ? 'No line fits.' : 'Nothing of its output is kept yet.'));
      const n = answer.lines.length;
      setText(words, answer.more ? `The newest ${count(n)} ${view.search ? 'that fit' : 'lines'}; older ones are in the download.` : view.search ? `${count(n)} ${n === 1 ? 'line fits' : 'lines fit'}.` : '');
      cursor = answer.cursor;
      follow();
    } catch (e) {
      if (mine !== turn) return;
      say(false, 'not live');
      setText(words, `The log could not be read: ${e.message}`);
      timer = setTimeout(restart, retry);
      retry = Math.min(retry * 2, RETRY_MAX_MS);
    }
  }
  // Nobody looks: the stream is let go, and taken up at the same line when somebody does again.
  const seen = () => { if (document.visibilityState === 'hidden') close(); else if (!source && cursor) follow(); };
  document.addEventListener('visibilitychange', seen);
  drawPause();
  say(false, 'opening');
  restart();
  const node = h('section', { class: 'card logcard', 'aria-label': 'Output' }, h('header', {}, h('h2', {}, 'Output'), status, h('div', { class: 'tools' }, streams.node, wrap, pause, h('a', { class: 'btn small', href: `/api/v1${path}/download`, download: `${id}.log` }, 'Download'))),
    h('div', { class: 'body' }, h('div', { class: 'logbar' }, search, words), h('div', { class: 'logbox' }, box, newer)));
  return { node, destroy() { turn++; close(); clearTimeout(later); cancelAnimationFrame(frame); document.removeEventListener('visibilitychange', seen); } };
}

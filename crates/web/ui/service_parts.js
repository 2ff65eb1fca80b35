// What a service is, in words and in the small parts that the list and the page of one service share.

import { may, post } from './api.js';
import { ask, h, put, setText, toast } from './dom.js';
import { bytes, count, NONE, number, span } from './format.js';
import { now, serverNow } from './live.js';

// Colour never stands alone: each state has its word, and its mark has its shape (see services.css).
const STATES = {
  running: ['Running', 'up'], starting: ['Starting', 'busy'], stopping: ['Stopping', 'busy'], backing_off: ['Backing off', 'degraded'],
  failed: ['Failed', 'down'], stopped: ['Stopped', 'idle'], finished: ['Finished', 'idle'],
};
const HEALTH = { healthy: ['Healthy', 'up'], unhealthy: ['Unhealthy', 'down'], starting: ['Checking health', 'busy'], unknown: ['Health unknown', 'unknown'] };
const RUNS = new Set(['running', 'starting', 'stopping']);
const CAUSES = {
  command: 'asked for', boot: 'StreamPulse began', adopted: 'ran already', reload: 'services file changed', form: 'configuration changed', exit: 'ended by itself', launch: 'could not be launched',
  ready: 'start checks', health: 'health check', target: 'watched stream', stale: 'no sign of life', limit: 'resource limit', needs: 'another service', timer: 'timer',
};
export const causeWords = (cause) => CAUSES[cause] || cause;
export const stateWords = (state) => STATES[state]?.[0] || state;
export const stateClass = (state) => STATES[state]?.[1] || 'unknown';

/** The time to count with: the server's, and no further than it was heard. */
export const seenNow = () => (now.connected || now.lostAt === null ? serverNow() : now.lostAt + now.skew);

/** Whether it waits for others before it may start. */
export const waits = (s) => s.waits_for.length > 0 && s.started_at === null && s.wanted === 'running';
/** Whether it has a run under way: what waits for others is being started, but nothing runs yet. */
export const runs = (s) => RUNS.has(s.state) && !waits(s);
/** Whether somebody should look at it: it is wanted and does not run, or runs and is not well. */
export const troubled = (s) => s.enabled && (s.state === 'failed' || s.state === 'backing_off' || s.health === 'unhealthy' || (s.wanted === 'running' && (s.state === 'stopped' || waits(s))));

/** Two pills that follow a service: its state, and its health where it runs. {node, update(s)} */
export function pills() {
  const [state, health] = [h('span', { class: 'pill state' }), h('span', { class: 'pill health' })];
  return { node: h('span', { class: 'pills' }, state, health), update(s) {
    const [word, kind] = waits(s) ? ['Waiting', 'idle'] : s.enabled ? STATES[s.state] || [s.state, 'unknown'] : [runs(s) ? `Disabled, ${stateWords(s.state).toLowerCase()}` : 'Disabled', 'idle'];
    state.className = `pill state ${s.health === 'unhealthy' && kind === 'up' ? 'degraded' : kind}`;
    setText(state, word);
    const [says, how] = HEALTH[s.health] || [s.health, 'unknown'];
    health.hidden = !runs(s);
    health.className = `pill health ${how}`;
    setText(health, says);
    health.title = s.health_reason || (s.health === 'unknown' ? 'It has no health checks, or none has answered yet.' : '');
  } };
}

/** When it is started again, in words that count down; empty when nothing is planned. */
export function nextStart(s) {
  if (s.next_start === null || s.next_start === undefined) return '';
  if (!now.connected) return 'When it starts again is unknown while the server is not heard.';
  const left = s.next_start - serverNow();
  return left <= 0 ? 'Starting again now' : `Starts again in ${left < 1000 ? '1 s' : span(left + 999)}`;
}

/** Why it is as it is, in one line with how its last run ended; empty when all is well. */
export function why(s) {
  if (!s.enabled) return 'Its file has it disabled.';
  if (s.health === 'unhealthy' && s.state === 'running') return s.health_reason || s.reason || 'Its health checks fail.';
  if (s.state === 'running' || !s.reason) return '';
  return s.reason;
}

/** How a run ended: exit code 3, after 2 s. */
export const endWords = (end) => (end ? `${end.words}, after ${span(end.ran_ms)}` : '');
/** Whether a run ended in a way that wants an explanation. */
export const endedBadly = (end) => Boolean(end) && end.exit_code !== 0;

// Terminals understand colours and cursor moves; a page shows the words. What is left of control characters is made visible.
const ESCAPES = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[@-Z\\-_])/g;
const CONTROLS = /[\u0000-\u0008\u000b-\u001f]/g;
/** A line of output as text for people. */
export const plain = (text) => text.replace(ESCAPES, '').replace(CONTROLS, (c) => String.fromCharCode(0x2400 + c.charCodeAt(0)));

/** The last lines of a run, oldest first. */
export const lastLines = (lines, most = lines.length) => h('pre', { class: 'lastlines', tabindex: lines.length > 4 ? 0 : null, 'aria-label': 'last lines of its output' }, lines.slice(-most).map(plain).join('\n'));

/** The seed's thresholds: part of what may be used. */
const WARN = 0.5;
const BAD = 0.8;

/** A bar with words: {node, update(value, full, words)}. Without a value it says unknown; without a full there is no bar. */
export function meter(label) {
  const [bar, text] = [h('i'), h('span', { class: 'words' })];
  const track = h('span', { class: 'track', role: 'meter', 'aria-label': label, 'aria-valuemin': 0 }, bar);
  const node = h('span', { class: 'meter' }, text, track);
  node.update = (value, full, words, title = '', missing = 'unknown') => {
    const known = value !== null && value !== undefined;
    const ratio = known && full ? value / full : null;
    track.hidden = !known || !full;
    bar.style.width = `${Math.min(100, (ratio ?? 0) * 100)}%`;
    node.className = `meter ${!known ? 'none' : ratio > BAD ? 'bad' : ratio > WARN ? 'warn' : ''}`;
    setText(text, known ? words : missing);
    node.title = title;
    if (ratio !== null) {
      track.setAttribute('aria-valuenow', String(number(value)));
      track.setAttribute('aria-valuemax', String(full));
      track.setAttribute('aria-valuetext', `${words}${ratio > BAD ? ', too much' : ratio > WARN ? ', a lot' : ''}`);
    }
  };
  return node;
}

/** What a service may use of a measure, from its budgets. */
const budget = (s, measure) => s.budgets.find((b) => b.measure === measure)?.most ?? null;
/** CPU: value, what counts as full, words, and what that means. */
export function cpuOf(s) {
  const value = runs(s) ? s.usage?.cpu_percent : null;
  const full = Math.max(100, budget(s, 'cpu') ?? 100);
  return [value, full, `${value >= 10 ? Math.round(value) : number(value)} %`, full > 100 ? `percent of one core; its budget is ${full} %` : 'percent of one core', runs(s) ? 'unknown' : NONE];
}
/** Memory against the limit that is known, if any. */
export function memoryOf(s) {
  const value = runs(s) ? s.usage?.memory_bytes : null;
  const full = s.usage?.memory_limit ?? budget(s, 'memory');
  return [value, full, full ? `${bytes(value)} of ${bytes(full)}` : bytes(value), full ? 'memory of all its processes' : 'memory of all its processes; no limit is set', runs(s) ? 'unknown' : NONE];
}

// States in which an entry of a queue has nothing left to do: they are counted, but nobody waits for them.
const OVER = /^(completed?|done|finished|succe(ss|eded)|failed|error|cancell?ed|skipped)$/i;
export const isOver = (state) => OVER.test(state);
/** How many entries wait or are being worked on; null when that is unknown. */
export const depth = (queue) => (queue && queue.counts.length ? queue.counts.filter((c) => !isOver(c.state)).reduce((sum, c) => sum + c.count, 0) : null);
export const rateWords = (queue) => (queue?.rate_per_hour === null || queue?.rate_per_hour === undefined ? NONE : `${count(Math.round(queue.rate_per_hour))} per hour`);

const PATH = (s) => `/services/${encodeURIComponent(s.id)}`;
const ASK = {
  stop: (s, others) => [`Stop ${s.name}?`, `It is told to end and stays stopped until somebody starts it.${others}`, 'Stop'],
  restart: (s, others) => [`Restart ${s.name}?`, `${runs(s) ? 'It is told to end and begins anew.' : 'It is started again at once.'} What it does now is interrupted.${others}`, 'Restart'],
};

function dependents(s) {
  const others = [...now.services.values()].filter((o) => o.needs.includes(s.id)).map((o) => o.name);
  const streams = s.targets.map((id) => now.targets.get(id)?.name || id);
  return `${others.length ? ` ${others.join(', ')} ${others.length === 1 ? 'needs' : 'need'} it.` : ''}${streams.length ? ` It makes the stream${streams.length === 1 ? '' : 's'} ${streams.join(', ')}.` : ''}`;
}

/** Which actions a service has now. */
function offered(s) {
  if (!s.enabled && !runs(s)) return [];
  if (s.state === 'backing_off') return ['start', 'stop'];
  if (s.state === 'stopping') return s.wanted === 'running' ? ['stop'] : ['start'];
  if (waits(s) || (s.state === 'stopped' && s.wanted === 'running')) return ['stop'];
  if (runs(s)) return s.enabled ? ['restart', 'stop'] : ['stop'];
  return ['start'];
}
const LABEL = { start: 'Start', stop: 'Stop', restart: 'Restart' };

/** The buttons of a service for those who may press them: {node, update(s)}. `failed(words)` is told what did not work. */
export function actions(size = '', failed = (words) => words && toast(words, 'bad')) {
  const node = h('span', { class: 'acts' });
  let shown = null;
  let kept = '';
  const run = (name) => async (e) => {
    const button = e.currentTarget;
    if (button.getAttribute('aria-busy') === 'true') return;
    const s = shown;
    if (ASK[name] && !await ask(...ASK[name](s, dependents(s)), name === 'stop')) return;
    button.setAttribute('aria-busy', 'true');
    try {
      const taken = await post(`${PATH(s)}/${name}`);
      failed('');
      toast(taken?.changed === false ? `${s.name}: nothing to do, it is wanted ${taken.wanted} already` : `${s.name}: ${{ start: 'is being started', stop: 'is being stopped', restart: 'is being restarted' }[name]}`);
    } catch (error) { failed(`${LABEL[name]} of ${s.name}: ${error.message}`); }
    button.removeAttribute('aria-busy');
  };
  return { node, update(s) {
    shown = s;
    if (!may('operator')) return;
    const names = offered(s);
    const key = `${names} ${s.state === 'backing_off'} ${s.name}`;
    if (key === kept) return;
    kept = key;
    // Whoever pressed a button that turns into another one stays at the place.
    const within = node.contains(document.activeElement);
    put(node, names.map((name) => {
      const label = name === 'start' && s.state === 'backing_off' ? 'Start now' : LABEL[name];
      return h('button', { class: `btn ${size}${name === 'stop' ? ' danger' : ''}`, type: 'button', 'data-act': name, 'aria-label': `${label}: ${s.name}`, onclick: run(name) }, label);
    }));
    if (within) node.querySelector('button')?.focus();
  } };
}

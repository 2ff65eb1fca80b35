// What the file of services says of one: program, environment, when it is started again, when it is well. For operators; secrets come
// masked from the server. Read when it is opened.

import { get } from './api.js';
import { h, put } from './dom.js';
import { bytes, count, span } from './format.js';

// Arguments that a reader could not tell apart without quotes.
const PLAIN = /^[\w@%+=:,./{}-]+$/;
const quoted = (argument) => (PLAIN.test(argument) ? argument : `'${argument.replaceAll("'", "'\\''")}'`);
const POLICY = { always: 'whenever it ends', on_failure: 'when it fails', never: 'never by itself' };

const code = (text) => h('code', { class: 'wrap' }, text);
const lines = (list) => h('ul', {}, list.map((x) => h('li', { class: 'wrap' }, x)));

function environment(env) {
  return env.length ? [['Environment', h('ul', {}, env.map((v) => h('li', {}, code(`${v.name}=${v.value}`))))]] : [];
}

function processPairs(p) {
  return [['Program', code(p.argv.map(quoted).join(' '))], ['Folder', code(p.cwd)], ...environment(p.env),
    ...(p.uid === null ? [] : [['User and group', `${p.uid}:${p.gid}`]]), ...(p.umask === null ? [] : [['Umask', p.umask]]),
    ...(p.limits.length ? [['Limits', lines(p.limits.map((l) => `${l.limit.replaceAll('_', ' ')}: ${count(l.most)}`))]] : []),
    ...(p.pid_file === null ? [] : [['PID file', code(p.pid_file)]])];
}

function containerPairs(c) {
  return [['Container', code(c.name)], ['Made from', c.image ? code(c.image) : 'nothing here: others made it'], ...(c.argv.length ? [['Command', code(c.argv.map(quoted).join(' '))]] : []), ...environment(c.env),
    ...(c.mounts.length ? [['Folders', lines(c.mounts)]] : []), ...(c.ports.length ? [['Ports', lines(c.ports)]] : []),
    ...[['User', c.user], ['Folder', c.cwd], ['Network', c.network], ['Socket of the engine', c.socket]].filter(([, v]) => v !== null),
    ...(c.memory_bytes === null ? [] : [['Memory limit', bytes(c.memory_bytes)]]), ...(c.millicpus === null ? [] : [['Processors', String(c.millicpus / 1000)]]), ...(c.pids === null ? [] : [['Most processes', count(c.pids)]])];
}

function rules(x) {
  const r = x.restart;
  const pauses = r.policy === 'never' ? '' : `, after ${span(r.first_ms)}${r.factor > 1 ? `, then ${r.factor} times as long, at most ${span(r.longest_ms)}` : ''}`;
  const limit = r.policy === 'never' || !r.limit ? '' : `; given up after ${count(r.limit)} starts within ${span(r.limit_within_ms)}`;
  return [
    ['Started again', `${POLICY[r.policy] || r.policy}${pauses}${limit}`],
    ['Counts as started', x.ready.length ? [lines(x.ready), `within ${span(x.ready_within_ms)}`] : 'at once'],
    ['Is well when', x.health.length ? lines(x.health.map((c) => `${c.what} (every ${span(c.every_ms)}, ${count(c.fails)} in a row)`)) : 'nothing checks it'],
    ...(x.health.length || x.budgets.length ? [['Otherwise', x.heal_restart ? `restarted, at most once in ${span(x.heal_cool_down_ms)} and ${count(x.heal_per_hour)} times an hour` : 'only told']] : []),
    ['Stopped by', `SIG${x.stop_signal}, and killed after ${span(x.stop_grace_ms)}`],
    ...(x.queue === null ? [] : [['Queue', code(x.queue)]]),
    ['Output kept', `${count(x.log_files)} files of ${bytes(x.log_file_bytes)}`],
  ];
}

const facts = (pairs) => h('dl', { class: 'facts' }, pairs.map(([k, v]) => [h('dt', {}, k), h('dd', {}, v)]));

/** The card, folded away until somebody opens it. */
export function specCard(id) {
  const body = h('div', { class: 'stack' }, h('p', { class: 'muted' }, 'Loading …'));
  const node = h('details', { class: 'card spec' }, h('summary', {}, 'What runs'), h('div', { class: 'body' }, body));
  node.ontoggle = async () => {
    if (!node.open) return;
    try {
      const x = await get(`/services/${encodeURIComponent(id)}/spec`);
      put(body, facts([...(x.process ? processPairs(x.process) : []), ...(x.container ? containerPairs(x.container) : []), ...rules(x)]), x.fallback ? [h('h3', {}, 'Without a container engine'), facts(processPairs(x.fallback))] : null);
    } catch (e) { put(body, h('p', { class: 'notice bad' }, `It could not be read: ${e.message}`)); }
  };
  return node;
}

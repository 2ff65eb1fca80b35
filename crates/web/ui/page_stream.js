// One stream: what it is now, how it was, what it carries, what it shows.

import { del, get, may, post, query } from './api.js';
import { beatBar } from './beats.js';
import { responseChart, statusStrip } from './chart.js';
import { ask, h, keep, link, put, segments, setText, toast } from './dom.js';
import { dateTime, factPairs, millis, number, percent, phaseName, span, STATUS, NONE, count } from './format.js';
import { now, serverNow, subscribe } from './live.js';
import { previewCard } from './preview.js';
import { scoreParts, scoreWords } from './score.js';
import { sessionCard } from './session.js';

const HOUR = 3600000;
const WINDOWS = { '10 min': [HOUR / 6, null], '1 h': [HOUR, null], '24 h': [24 * HOUR, 'minute'], '7 d': [168 * HOUR, 'hour'], '30 d': [720 * HOUR, 'hour'], '1 y': [8760 * HOUR, 'day'] };
const STEP = { minute: 60000, hour: HOUR, day: 24 * HOUR };
const FULL_BAR = 60; // beats the server keeps on the board
const PAGE_ROWS = 50;
// The store writes in batches: what was just seen can be read a little later.
const LOOKS_EVERY_MS = 2000;
// A window with more looks than this is drawn from minutes: the screen has no more columns anyway.
const MAX_RAW_ROWS = 2500;

const card = (title, tools, ...body) => h('section', { class: 'card' }, h('header', {}, h('h2', {}, title), tools ? h('div', { class: 'tools' }, tools) : null), h('div', { class: 'body' }, body));

function actions(t, go) {
  // A busy button stays focusable, so that nobody who works by keyboard loses the place.
  const run = (label, f) => async (e) => {
    const button = e.currentTarget;
    if (button.getAttribute('aria-busy') === 'true') return;
    button.setAttribute('aria-busy', 'true');
    try { await f(); } catch (error) { toast(`${label}: ${error.message}`, 'bad'); }
    button.removeAttribute('aria-busy');
  };
  const path = `/targets/${encodeURIComponent(t.id)}`;
  const out = [];
  if (may('operator')) {
    out.push(h('button', { class: 'btn', type: 'button', onclick: run('Test', async () => { const l = await post(`${path}/test`); toast(l.grade === 'pass' ? `Works, took ${millis(l.took_ms)}` : l.reasons[0]?.text || l.grade, l.grade === 'fail' ? 'bad' : 'good'); }) }, 'Test now'));
    out.push(h('button', { class: 'btn', type: 'button', onclick: run('Pause', () => post(`${path}/${t.paused ? 'resume' : 'pause'}`)) }, t.paused ? 'Resume' : 'Pause'));
  }
  out.push(h('a', { class: 'btn', href: `/api/v1${path}/export.csv`, download: `${t.id}.csv` }, 'CSV'));
  if (may('administrator')) {
    out.push(link(`/streams/${encodeURIComponent(t.id)}/edit`, { class: 'btn' }, 'Edit'));
    out.push(h('button', { class: 'btn danger', type: 'button', onclick: run('Delete', async () => {
      if (!await ask(`Delete ${t.name}?`, 'It is taken out of the configuration file and no longer watched. Its history stays until retention ends.', 'Delete')) return;
      await del(path);
      toast(`${t.name} is no longer watched`);
      go('/');
    }) }, 'Delete'));
  }
  return out;
}

/** A list of facts whose values change in place while its names stay: {node, update(pairs)}. */
function factList() {
  const node = h('dl', { class: 'facts' });
  let values = [];
  return { node, update(pairs) {
    keep(node, pairs.map(([k]) => k).join('\n'), () => { values = pairs.map(() => h('dd')); return pairs.map(([k], i) => [h('dt', {}, k), values[i]]); });
    pairs.forEach(([, v], i) => setText(values[i], String(v)));
  } };
}

function tracksTable(last) {
  if (!last?.tracks.length) return h('p', { class: 'muted' }, last ? 'The last look saw no media tracks.' : 'Not looked at yet.');
  const cell = (v, unit = '') => (v === null || v === undefined ? NONE : `${v}${unit}`);
  return h('div', { class: 'scroll-x' }, h('table', { class: 'table' },
    h('thead', {}, h('tr', {}, ['Track', 'Codec', 'Profile', 'Picture', 'Frames', 'Sound', 'Received'].map((x) => h('th', {}, x)))),
    h('tbody', {}, last.tracks.map((t) => h('tr', {}, h('td', {}, t.media), h('td', { class: 'mono' }, t.codec), h('td', {}, cell(t.profile)),
      h('td', { class: 'nowrap' }, t.width ? `${t.width} × ${t.height}` : NONE), h('td', { class: 'nowrap' }, t.fps ? `${number(t.fps)} fps` : NONE),
      h('td', { class: 'nowrap' }, t.sample_rate_hz ? `${number(t.sample_rate_hz / 1000)} kHz, ${cell(t.channels)} ch` : NONE), h('td', {}, t.proven ? 'yes' : 'not proven'))))));
}

/** How others call a push target; only administrators may know. */
function pushCard(id) {
  const box = h('div', { class: 'stack' }, h('p', { class: 'muted' }, 'Loading …'));
  const copy = (text) => h('button', { class: 'btn small', type: 'button', onclick: () => navigator.clipboard.writeText(text).then(() => toast('Copied'), () => toast('Copying is not allowed here', 'bad')) }, 'Copy');
  get(`/targets/${encodeURIComponent(id)}/push`).then(({ path }) => {
    const url = `${location.origin}${path}`;
    const line = `curl -fsS -m 10 --retry 3 '${url}'`;
    put(box, h('p', {}, 'Whoever knows this URL may call it, by GET or POST: keep it secret.'),
      h('div', { class: 'row' }, h('code', { class: 'mono wrap' }, url), copy(url)), h('div', { class: 'row' }, h('code', { class: 'mono wrap' }, line), copy(line)),
      h('p', { class: 'muted' }, 'Add ?status=down&msg=words to report a failure, or /start before and /$? after a program to tell its beginning and its exit code.'));
  }, (error) => put(box, h('p', { class: 'muted' }, error.message)));
  return card('Called by', null, box);
}

const PROVEN = { media: 'media of every selected track was received', describe: 'the peer describes the stream; media was not proven', reach: 'the peer answers; the stream was not proven' };

function lastFacts(t) {
  const l = t.last;
  if (!l) return [['Last look', 'not looked at yet']];
  return [
    [t.watch === 'continuous' ? 'Judged' : 'Last look', `${dateTime(l.at)}, ${t.watch === 'continuous' ? 'opening took' : 'took'} ${millis(l.took_ms)}${l.attempts > 1 ? `, attempt ${l.attempts}` : ''}`],
    ...(l.proven ? [['Proven', PROVEN[l.proven]]] : []),
    ['Phases', Object.entries(l.phases_ms).map(([p, ms]) => `${phaseName(p)} ${millis(ms)}`).join(', ') || NONE],
    ...factPairs(l.facts),
  ];
}

/** The window in which a stream's looks make a readable curve: some sixty of them or more. */
function firstWindow(t) {
  const every = t?.interval_ms ?? HOUR / 60;
  return every <= 10000 ? '10 min' : every <= 60000 ? '1 h' : '24 h';
}

/** The chart with its window buttons; answers {node, refresh, destroy}. */
function history(id) {
  const chart = responseChart();
  const strip = h('div');
  const words = h('p', { class: 'muted' });
  const failed = h('p', { class: 'notice bad', hidden: true });
  const seg = segments('Window', Object.keys(WINDOWS).map((k) => [k, k]), (k) => { current = k; draw(); });
  let current = firstWindow(now.targets.get(id));
  let turn = 0;
  const draw = async () => {
    const mine = ++turn;
    seg.draw(current);
    const [length, stored] = WINDOWS[current];
    const resolution = stored || (length / (now.targets.get(id)?.interval_ms || 10000) > MAX_RAW_ROWS ? 'minute' : null);
    const to = serverNow();
    const from = Math.round(to - length);
    const path = `/targets/${encodeURIComponent(id)}`;
    try {
      const [points, changes, a] = await Promise.all([resolution ? rolled(path, resolution, from, to) : raw(path, from, to), get(`${path}/changes${query({ from, to: Math.round(to) })}`), get(`${path}/availability${query({ from, to: Math.round(to) })}`)]);
      if (mine !== turn) return;
      const t = now.targets.get(id);
      const gap = resolution ? STEP[resolution] * 2.5 : Math.max(120000, (t?.interval_ms || 10000) * 3.5);
      failed.hidden = true;
      chart.draw(points, from, to, gap);
      put(strip, statusStrip(changes.rows, from, to, t?.status || 'unknown'));
      setText(words, a.ratio === null ? 'Nothing is known about this window yet.' : `Available ${percent(a.ratio)} of this window: down ${span(a.unavailable_ms)}, not counted ${span(a.uncounted_ms)} (unknown, paused or not running).`);
    } catch (e) {
      if (mine !== turn) return;
      failed.hidden = false;
      put(failed, `The history could not be read: ${e.message}`);
    }
  };
  queueMicrotask(draw);
  return { node: card('Response and availability', seg.node, h('div', { class: 'stack' }, failed, chart.node, strip, words)), refresh: draw, destroy: chart.destroy };
}

async function raw(path, from, to) {
  const rows = [];
  let before = null;
  do {
    const page = await get(`${path}/observations${query({ from, to: Math.round(to), limit: 1000, before })}`);
    rows.push(...page.rows);
    before = page.next;
  } while (before !== null && rows.length < MAX_RAW_ROWS);
  return rows.reverse().map((r) => ({ at: r.at, total: r.took_ms, phases: r.phases_ms, bad: r.grade === 'fail', label: r.grade === 'pass' ? '' : r.reason }));
}

async function rolled(path, resolution, from, to) {
  const { rows } = await get(`${path}/rollups${query({ resolution, from, to: Math.round(to) })}`);
  return rows.map((r) => ({ at: r.at, total: r.took_avg_ms, phases: r.phases_avg_ms, bad: r.fail > 0, label: `${r.count} looks${r.fail ? `, ${r.fail} failed` : ''}` }));
}

function looks(id) {
  const body = h('tbody');
  const more = h('button', { class: 'btn small', type: 'button' }, 'Older');
  let next = null;
  let pages = 0;
  let later = 0;
  const load = async (fresh) => {
    more.disabled = true;
    try {
      const page = await get(`/targets/${encodeURIComponent(id)}/observations${query({ limit: PAGE_ROWS, before: fresh ? null : next })}`);
      if (fresh) put(body);
      pages = fresh ? 1 : pages + 1;
      body.append(...page.rows.map((r) => h('tr', {}, h('td', { class: 'nowrap' }, dateTime(r.at)), h('td', {}, h('span', { class: `pill ${r.grade === 'pass' ? 'up' : r.grade === 'warn' ? 'degraded' : 'down'}` }, r.grade)), h('td', { class: 'num' }, millis(r.took_ms)), h('td', { class: 'wrap' }, r.reason || ''))));
      next = page.next;
      more.hidden = next === null;
      if (!body.children.length) body.append(h('tr', {}, h('td', { colspan: 4, class: 'muted' }, 'No looks are stored yet.')));
    } catch (e) { toast(e.message, 'bad'); }
    more.disabled = false;
  };
  more.onclick = () => load(false);
  load(true);
  // New looks appear on top, except while somebody reads further back.
  const refresh = () => { if (pages === 1 && !later) later = setTimeout(() => { later = 0; if (pages === 1) load(true); }, LOOKS_EVERY_MS); };
  return { refresh, destroy: () => clearTimeout(later), node: card('History', null, h('div', { class: 'scroll-x' }, h('table', { class: 'table flow' }, h('thead', {}, h('tr', {}, h('th', {}, 'When'), h('th', {}, 'Judged'), h('th', { class: 'num' }, 'Took'), h('th', {}, 'Reason'))), body)), more) };
}

function incidents(id) {
  const box = h('div');
  const load = async () => {
    try {
      const { incidents: list } = await get(`/incidents${query({ target: id, limit: 10 })}`);
      put(box, list.length ? h('ul', { class: 'problems' }, list.map((i) => h('li', {}, h('div', { class: 'row' }, h('span', { class: `pill ${i.closed_at ? 'unknown' : i.worst}` }, i.closed_at ? `lasted ${span(i.closed_at - i.opened_at)}` : `${STATUS[i.worst]} now`), h('span', { class: 'muted' }, dateTime(i.opened_at))), h('div', { class: 'wrap' }, i.cause)))) : h('p', { class: 'muted' }, 'No incidents.'));
    } catch (e) { put(box, h('p', { class: 'notice bad' }, e.message)); }
  };
  load();
  return { node: card('Incidents', null, box), refresh: load };
}

export function make({ id: rawId, go }) {
  const id = decodeURIComponent(rawId);
  const node = h('div', { class: 'stack' });
  const parts = { pill: h('span', { class: 'pill' }), name: h('h1', { class: 'wrap' }), url: h('span', { class: 'mono muted wrap' }), tags: h('span', { class: 'row' }), acts: h('div', { class: 'actions' }), why: h('div', { class: 'notice', role: 'status' }), stats: h('div', { class: 'stats' }), beats: beatBar(FULL_BAR), tracks: h('div'), facts: factList(), score: scoreParts() };
  let built = null;
  let actionsKey = '';

  const close = () => { built?.preview.stop(); built?.history.destroy(); built?.looks.destroy(); built?.session.destroy(); };
  // The services whose output this stream is.
  const makers = () => [...now.services.values()].filter((x) => x.targets.includes(id));
  const stat = (k, v) => h('div', { class: 'card stat' }, h('div', { class: 'k' }, k), h('div', { class: 'v' }, v));
  const update = () => {
    const t = now.targets.get(id);
    if (!t) {
      close();
      built = null;
      return put(node, h('div', { class: 'empty' }, now.loaded ? [h('h1', {}, 'This stream is not watched'), h('p', {}, 'It may have been removed. ', link('/', {}, 'To the streams'))] : 'Loading …'));
    }
    if (!built) {
      built = { history: history(id), incidents: incidents(id), looks: looks(id), preview: previewCard(id, () => now.targets.get(id)), tracks: card('Tracks', null, parts.tracks), session: sessionCard(id) };
      put(node, h('div', { class: 'head' }, h('div', { class: 'grow' }, h('div', { class: 'title' }, parts.name, parts.pill), h('div', { class: 'row' }, parts.url, parts.tags)), parts.acts),
        parts.why, parts.stats, h('div', { class: 'card big-beats' }, h('div', { class: 'body' }, parts.beats)),
        h('div', { class: 'two' }, h('div', { class: 'stack' }, t.kind === 'push' && may('administrator') ? pushCard(id) : null, built.session.node, built.history.node, built.tracks, built.looks.node), h('div', { class: 'stack' }, built.preview.node, card('Last look', null, parts.facts.node), card('Health score', null, parts.score.node), built.incidents.node)));
    }
    setText(parts.name, t.name);
    setText(parts.url, t.url);
    parts.pill.className = `pill ${t.status}`;
    setText(parts.pill, STATUS[t.status]);
    keep(parts.tags, JSON.stringify([t.kind, t.group, t.tags, makers().map((x) => x.name)]), () => [h('span', { class: 'tag kind' }, t.kind), t.group ? h('span', { class: 'tag' }, t.group) : null, t.tags.map((x) => h('span', { class: 'tag' }, x)),
      makers().map((x) => link(`/services/${encodeURIComponent(x.id)}`, { class: 'tag' }, `made by ${x.name}`))]);
    if (actionsKey !== `${t.name} ${t.paused}`) { actionsKey = `${t.name} ${t.paused}`; put(parts.acts, actions(t, go)); }
    parts.why.className = `notice ${t.status === 'down' ? 'bad' : t.status === 'degraded' ? 'warn' : ''}`;
    const pendingFault = t.status === 'up' && t.last && t.last.grade !== 'pass' ? t.last.reasons[0]?.text : '';
    parts.why.hidden = t.status === 'up' && !pendingFault;
    setText(parts.why, t.status === 'up' ? `${pendingFault} (${t.fails} of ${t.fail_after} until it counts as down)` : `${t.reason} · since ${dateTime(t.since)}`);
    put(parts.stats, stat(`${STATUS[t.status]} for`, span(serverNow() - t.since)), stat('Response', millis(t.last?.took_ms)), stat('24 h', percent(t.availability?.h24)), stat('7 d', percent(t.availability?.d7)), stat('30 d', percent(t.availability?.d30)), stat('Score', scoreWords(t)), stat(t.watch === 'continuous' ? 'Judged every' : 'Looks every', span(t.interval_ms)), ...(t.last?.facts.cert_expires_at ? [stat('Certificate', `${count(Math.floor((t.last.facts.cert_expires_at - serverNow()) / 86400000))} days`)] : []));
    built.session.node.hidden = t.watch !== 'continuous';
    built.session.update();
    parts.beats.update(t.beats);
    keep(parts.tracks, JSON.stringify(t.last?.tracks ?? null), () => tracksTable(t.last));
    // Nothing is missing where no media is meant to be: no tracks, and pictures only of what HTTP may give.
    built.tracks.hidden = !t.media && !t.last?.tracks.length;
    built.preview.node.hidden = !t.media && !t.url.startsWith('http');
    parts.facts.update(lastFacts(t));
    parts.score.update(t);
  };
  const unsubscribe = subscribe((what, ids) => {
    if (what === 'services' && !ids) update();
    if (what === 'targets' ? ids.has(id) : what === 'list') { update(); built?.looks.refresh(); }
    if (what === 'incident') built?.incidents.refresh();
  });
  const slow = setInterval(() => { if (document.visibilityState === 'visible' && now.connected) built?.history.refresh(); }, 30000);
  update();
  return { title: now.targets.get(id)?.name || 'Stream', node, destroy() { unsubscribe(); clearInterval(slow); close(); } };
}

// Now, as the server tells it: one event stream, one map of targets and one of services. Reconnects by itself and says when it
// is cut off.

export const now = {
  targets: new Map(), // id -> target, in the order of the configuration
  live: new Map(), // id -> newest values of a held session: {at, second, bitrate, fps, loss, key, held}
  services: new Map(), // id -> service, in the order of the file of services
  servicesLoaded: false,
  health: null,
  config: null,
  alerts: null, // {version, active, open, worst}
  connected: false,
  lostAt: null,
  loaded: false,
  skew: 0, // server's clock minus this browser's, in ms
};

const listeners = new Set();
/** `f(what, ids)` is called after each change; what is 'alerts' | 'targets' | 'list' | 'live' | 'services' | 'health' | 'config' | 'connection' | 'incident'. Answers how to stop. */
export function subscribe(f) {
  listeners.add(f);
  return () => listeners.delete(f);
}
function tell(what, ids) {
  for (const f of [...listeners]) f(what, ids);
}

/** The server's time. */
export const serverNow = () => Date.now() + now.skew;

// The server pings every 10 s: silence for longer than two of them means that the connection is dead without a word.
const SILENCE_MS = 25000;
const RETRY_MIN_MS = 500;
const RETRY_MAX_MS = 10000;

let source = null;
let watchdog = 0;
let retry = RETRY_MIN_MS;
let timer = 0;
let pending = null;
let wanted = false;

export function start() {
  wanted = true;
  if (source || timer) return;
  open();
}

/**
 * Lets go of the stream while nobody looks. A browser opens six connections to one server at most: six pages in the background,
 * or kept for the way back, would leave none for the seventh.
 */
export const pause = stop;
export function resume() {
  if (wanted) timer ? hurry() : start();
}

/** Tries again at once when the wait between attempts has become long. */
function hurry() {
  stop();
  retry = RETRY_MIN_MS;
  open();
}

/** Forgets what was shown: somebody else may sign in next. */
export function forget() {
  wanted = false;
  stop();
  Object.assign(now, { targets: new Map(), live: new Map(), services: new Map(), servicesLoaded: false, health: null, config: null, alerts: null, connected: false, lostAt: null, loaded: false });
}

export function stop() {
  clearTimeout(timer);
  clearInterval(watchdog);
  timer = 0;
  source?.close();
  source = null;
}

function lost() {
  stop();
  if (now.connected || now.lostAt === null) {
    now.connected = false;
    now.lostAt = Date.now();
    tell('connection');
  }
  timer = setTimeout(() => { timer = 0; open(); }, retry + Math.random() * retry * 0.3);
  retry = Math.min(retry * 2, RETRY_MAX_MS);
}

function open() {
  let heard = Date.now();
  source = new EventSource('/api/v1/events');
  const on = (name, f) => source.addEventListener(name, (e) => { heard = Date.now(); f(e.data ? JSON.parse(e.data) : null); });
  source.onerror = () => {
    // A closed source was answered with a refusal, not cut off: whoever reads this may no longer be signed in.
    if (source?.readyState === EventSource.CLOSED) dispatchEvent(new Event('refused'));
    lost();
  };
  watchdog = setInterval(() => { if (Date.now() - heard > SILENCE_MS) lost(); }, 2000);
  on('board', (b) => {
    retry = RETRY_MIN_MS;
    now.targets = new Map(b.targets.map((t) => [t.id, t]));
    now.live = new Map(); // the event `live` follows
    now.health = b.health;
    now.skew = b.at - Date.now();
    now.connected = now.loaded = true;
    now.lostAt = null;
    tell('connection');
    tell('health');
    tell('list');
  });
  on('target', (t) => {
    const fresh = !now.targets.has(t.id);
    if (t.session?.state !== 'live') now.live.delete(t.id);
    now.targets.set(t.id, t);
    if (fresh) return tell('list');
    // Many targets change in one tick: the pages are told once a frame.
    if (!pending) {
      pending = new Set();
      setTimeout(() => { const ids = pending; pending = null; tell('targets', ids); }, 16);
    }
    pending.add(t.id);
  });
  on('live', (l) => {
    for (const [id, [at, second, bitrate, fps, loss, key, held]] of Object.entries(l.targets)) now.live.set(id, { at, second, bitrate, fps, loss, key, held });
    tell('live', new Set(Object.keys(l.targets)));
  });
  // All of them: at the beginning, and when the file of services changed which there are.
  on('services', (all) => {
    now.services = new Map(all.services.map((s) => [s.id, s]));
    now.servicesLoaded = true;
    tell('services');
  });
  on('service', (s) => {
    const fresh = !now.services.has(s.id);
    now.services.set(s.id, s);
    tell('services', fresh ? undefined : new Set([s.id]));
  });
  on('removed', (r) => { now.live.delete(r.id); if (now.targets.delete(r.id)) tell('list'); });
  on('health', (x) => { now.health = x; tell('health'); });
  on('config', (c) => { now.config = c; tell('config'); });
  on('alerts', (a) => { now.alerts = a; tell('alerts'); });
  on('incident', (i) => tell('incident', i));
  on('ping', () => {});
}

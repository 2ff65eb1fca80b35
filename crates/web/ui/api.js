// Talks to /api/v1. Owns the CSRF token and turns every failure into one kind of error with a sentence for people.

export const session = { signed_in: false, user: null, role: null, csrf: null, setup_needed: false, login_required: true, version: '', timezone: 'UTC', demo: false };

export class ApiError extends Error {
  constructor(status, code, message, problems) {
    super(message);
    this.status = status;
    this.code = code;
    this.problems = problems || [];
  }
}

async function call(method, path, body, headers = {}) {
  const init = { method, headers: { Accept: 'application/json', ...headers }, credentials: 'same-origin' };
  if (method !== 'GET' && session.csrf) init.headers['X-CSRF-Token'] = session.csrf;
  if (body !== undefined) {
    init.headers['Content-Type'] = 'application/json';
    init.body = JSON.stringify(body);
  }
  let reply;
  try {
    reply = await fetch(`/api/v1${path}`, init);
  } catch {
    throw new ApiError(0, 'unreachable', 'The server does not answer. Is StreamPulse running?');
  }
  const text = await reply.text();
  let data = null;
  try { data = text ? JSON.parse(text) : null; } catch { /* an error page of something in between; handled below */ }
  if (!reply.ok) {
    const e = data?.error;
    if (reply.status === 401 && path !== '/session') dispatchEvent(new Event('signed-out'));
    throw new ApiError(reply.status, e?.code || 'http', e?.message || `The server answered ${reply.status} ${reply.statusText}`, e?.problems);
  }
  return data;
}

export const get = (path) => call('GET', path);
export const post = (path, body = {}) => call('POST', path, body);
export const put = (path, body) => call('PUT', path, body);
export const patch = (path, body) => call('PATCH', path, body);
export const del = (path) => call('DELETE', path);

/** Asks who we are; keeps the answer in `session`. */
export async function loadSession() {
  Object.assign(session, await get('/session'));
  return session;
}

const RANK = { viewer: 1, operator: 2, administrator: 3 };
/** Whether the signed-in user has at least this role. */
export const may = (role) => (RANK[session.role] || 0) >= RANK[role];

/** A query string without empty values. */
export function query(values) {
  const q = new URLSearchParams();
  for (const [k, v] of Object.entries(values)) if (v !== null && v !== undefined && v !== '') q.set(k, v);
  const text = q.toString();
  return text ? `?${text}` : '';
}

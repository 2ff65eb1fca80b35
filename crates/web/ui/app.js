// Starts the dashboard: session, frame, router. Each page is a module that answers {node, title, destroy?}.

import { loadSession, session, del, may } from './api.js';
import { h, link, put, setText, toast } from './dom.js';
import { PARTS, span } from './format.js';
import * as live from './live.js';
import { now } from './live.js';
import { troubled } from './service_parts.js';

const ROUTES = [
  [/^\/$/, () => import('./page_streams.js')],
  [/^\/streams\/new$/, () => import('./page_edit.js')],
  [/^\/streams\/(?<id>[^/]+)\/edit$/, () => import('./page_edit.js')],
  [/^\/streams\/(?<id>[^/]+)$/, () => import('./page_stream.js')],
  [/^\/services$/, () => import('./page_services.js')],
  [/^\/services\/(?<id>[^/]+)$/, () => import('./page_service.js')],
  [/^\/incidents$/, () => import('./page_incidents.js')],
  [/^\/alerts$/, () => import('./page_alerts.js')],
  [/^\/maintenance$/, () => import('./page_maintenance.js')],
  [/^\/settings(?:\/(?<tab>[a-z]+))?$/, () => import('./page_settings.js')],
];

// A page in the background keeps its stream this long, so that a glance elsewhere costs nothing.
const HIDDEN_MS = 10000;

const root = document.getElementById('app');
const main = h('main', { id: 'main', class: 'page', tabindex: -1 });
let page = null;
let turn = 0;
let undo = []; // what ends the frame's own subscriptions

export async function go(path, replace = false) {
  history[replace ? 'replaceState' : 'pushState'](null, '', path);
  await show();
}

async function show() {
  const mine = ++turn;
  const path = location.pathname;
  const [route, load] = ROUTES.find(([r]) => r.test(path)) || [];
  let next;
  if (!route) next = { node: h('div', { class: 'empty' }, h('h1', {}, 'There is no such page'), h('p', {}, link('/', {}, 'To the streams'))), title: 'Not found' };
  else {
    try {
      const module = await load();
      if (mine !== turn) return;
      next = module.make({ ...path.match(route).groups, go });
    } catch (e) {
      next = { node: h('div', { class: 'notice bad' }, `This page could not be loaded: ${e.message}`), title: 'Error' };
    }
  }
  page?.destroy?.();
  page = next;
  const within = main.contains(document.activeElement);
  put(main, next.node);
  // The focus was on something that is gone: it goes on from the top of the new page, not from that of the document.
  if (within) main.focus({ preventScroll: true });
  document.title = `${next.title} · StreamPulse`;
  for (const a of document.querySelectorAll('.nav a')) {
    const href = a.getAttribute('href');
    const here = href === '/' ? path === '/' || path.startsWith('/streams') : path.startsWith(href);
    here ? a.setAttribute('aria-current', 'page') : a.removeAttribute('aria-current');
  }
  scrollTo(0, 0);
}

function banners() {
  const lost = h('div', { class: 'banner bad', role: 'alert', hidden: true });
  const unwell = h('div', { class: 'banner warn', role: 'alert', hidden: true });
  const config = h('div', { class: 'banner warn', role: 'alert', hidden: true });
  const services = h('div', { class: 'banner warn', role: 'alert', hidden: true });
  const draw = () => {
    const gone = !now.connected && now.lostAt !== null;
    lost.hidden = !gone;
    if (gone) put(lost, 'Connection lost', h('span', { class: 'detail' }, `What you see is ${span(Date.now() - now.lostAt)} old. Trying to reconnect.`));
    const parts = Object.entries(now.health?.parts || {}).filter(([name, p]) => !p.ok && name !== 'config' && name !== 'services');
    unwell.hidden = gone || !parts.length;
    if (parts.length) put(unwell, 'StreamPulse itself is unwell', h('span', { class: 'detail' }, parts.map(([name, p]) => `${PARTS[name] || name}: ${p.reason}`).join('; ')));
    const refused = now.health?.parts?.services;
    services.hidden = gone || !refused || refused.ok;
    if (refused && !refused.ok) put(services, 'The file of services was refused', h('span', { class: 'detail' }, refused.reason, ' What runs goes on.'));
    const problem = now.health?.parts?.config;
    config.hidden = gone || !problem || problem.ok;
    if (problem && !problem.ok) put(config, 'The configuration file was refused', h('span', { class: 'detail' }, problem.reason, ' What ran before goes on. ', link('/settings/config', {}, 'Show')));
  };
  const clock = setInterval(() => { if (!lost.hidden) draw(); }, 1000);
  undo.push(live.subscribe((what) => { if (what === 'connection' || what === 'health') draw(); }), () => clearInterval(clock));
  draw();
  return [lost, unwell, config, services];
}

function themeButton() {
  const label = () => `Use the ${document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark'} theme`;
  const button = h('button', { class: 'btn icon quiet', type: 'button', 'aria-label': label(), title: label() }, '◐');
  button.onclick = () => {
    const next = document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark';
    document.documentElement.dataset.theme = next;
    try { localStorage.setItem('theme', next); } catch { /* storage denied: the choice lasts for this page */ }
    button.title = label();
    button.setAttribute('aria-label', label());
  };
  return button;
}

async function signOut() {
  try { await del('/session'); } catch (e) { toast(e.message, 'bad'); }
  await boot();
}

function frame() {
  const conn = h('span', { class: 'conn', title: 'Live updates' });
  const drawConn = () => { setText(conn, now.connected ? 'live' : 'offline'); conn.classList.toggle('on', now.connected); };
  undo.push(live.subscribe((what) => { if (what === 'connection') drawConn(); }));
  drawConn();
  const badge = h('span', { class: 'badge', hidden: true });
  const drawBadge = () => {
    const a = now.alerts;
    badge.hidden = !a?.open;
    badge.className = `badge sev-${a?.worst || 'info'}`;
    setText(badge, a?.open > 99 ? '99+' : String(a?.open || ''));
    badge.title = a?.open ? `${a.open} open, ${a.active} active` : '';
  };
  undo.push(live.subscribe((what) => { if (what === 'alerts') drawBadge(); }));
  drawBadge();
  const troubles = h('span', { class: 'troubles', hidden: true });
  const drawTroubles = () => {
    const bad = [...now.services.values()].filter(troubled).length;
    troubles.hidden = !bad;
    setText(troubles, String(bad));
    troubles.title = `${bad} in trouble`;
  };
  undo.push(live.subscribe((what) => { if (what === 'services') drawTroubles(); }));
  drawTroubles();
  put(root, h('div', { class: 'bar' },
    link('/', { class: 'brand' }, h('img', { src: '/ui/icon.svg', alt: '' }), 'StreamPulse', session.demo ? h('span', { class: 'tag' }, 'demo') : null),
    h('nav', { class: 'nav', 'aria-label': 'Pages' }, link('/', {}, 'Streams'), link('/services', {}, 'Services', troubles), link('/alerts', {}, 'Alerts', badge), link('/incidents', {}, 'Incidents'), link('/maintenance', {}, 'Planned'), link('/settings', {}, 'Settings')),
    h('div', { class: 'tools' }, conn, themeButton(),
      session.login_required ? h('span', { class: 'muted nowrap who' }, session.user) : null,
      session.login_required ? h('button', { class: 'btn small', type: 'button', onclick: signOut }, 'Sign out') : null)),
  banners(), main);
}

function close() {
  page?.destroy?.();
  page = null;
  turn++;
  for (const f of undo.splice(0)) f();
  live.forget();
}

export async function boot() {
  close();
  try {
    await loadSession();
  } catch (e) {
    put(root, h('div', { class: 'gate' }, h('div', { class: 'card' }, h('h1', {}, 'StreamPulse does not answer'), h('p', { class: 'muted' }, e.message), h('p', {}, h('button', { class: 'btn', type: 'button', onclick: boot }, 'Try again')))));
    return;
  }
  if (session.setup_needed || !session.signed_in) {
    const { gate } = await import('./page_gate.js');
    put(root, gate(boot));
    document.title = 'StreamPulse';
    return;
  }
  if (['/sign-in', '/setup'].includes(location.pathname)) history.replaceState(null, '', '/');
  frame();
  live.start();
  show();
}

/** After a cut: the server may be a newer one with newer files, the session may have ended, its token may have changed. */
async function checkSession() {
  const version = session.version;
  try { await loadSession(); } catch { return; }
  if (session.version !== version) location.reload();
  else if (!session.signed_in) boot();
}

let cut = false;
live.subscribe((what) => {
  if (what !== 'connection') return;
  if (now.connected && cut) checkSession();
  cut = !now.connected;
});
addEventListener('refused', checkSession);
addEventListener('online', live.resume);
addEventListener('pagehide', live.pause);
addEventListener('pageshow', live.resume);
let hidden = 0;
document.addEventListener('visibilitychange', () => {
  clearTimeout(hidden);
  if (document.visibilityState === 'visible') live.resume();
  else hidden = setTimeout(live.pause, HIDDEN_MS);
});
addEventListener('popstate', show);
addEventListener('signed-out', () => { if (session.signed_in) { session.signed_in = false; boot(); } });
document.addEventListener('click', (e) => {
  const a = e.target.closest?.('a[data-link]');
  if (!a || e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return;
  e.preventDefault();
  go(a.getAttribute('href'));
});
document.addEventListener('keydown', (e) => {
  const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.tagName || '');
  if (typing || e.metaKey || e.ctrlKey || e.altKey || document.querySelector('dialog[open]')) return;
  if (e.key === '/') {
    e.preventDefault();
    const box = () => document.querySelector('input[type=search]');
    box() ? box().focus() : session.signed_in && go('/').then(() => box()?.focus());
  } else if (e.key === 'n' && session.signed_in && may('administrator')) go('/streams/new');
});
boot();

// Starts the dashboard: session, frame, router. Each page is a module that answers {node, title, destroy?}.

import { loadSession, session, del, may } from './api.js';
import { h, link, put, setText, toast } from './dom.js';
import { span } from './format.js';
import * as live from './live.js';
import { now } from './live.js';

const ROUTES = [
  [/^\/$/, () => import('./page_streams.js')],
  [/^\/streams\/new$/, () => import('./page_edit.js')],
  [/^\/streams\/(?<id>[^/]+)\/edit$/, () => import('./page_edit.js')],
  [/^\/streams\/(?<id>[^/]+)$/, () => import('./page_stream.js')],
  [/^\/incidents$/, () => import('./page_incidents.js')],
  [/^\/settings(?:\/(?<tab>[a-z]+))?$/, () => import('./page_settings.js')],
];

const root = document.getElementById('app');
const main = h('main', { id: 'main', class: 'page', tabindex: -1 });
let page = null;
let turn = 0;

export function go(path, replace = false) {
  history[replace ? 'replaceState' : 'pushState'](null, '', path);
  show();
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
  put(main, next.node);
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
  const draw = () => {
    const gone = !now.connected && now.lostAt !== null;
    lost.hidden = !gone;
    if (gone) put(lost, 'Connection lost', h('span', { class: 'detail' }, `What you see is ${span(Date.now() - now.lostAt)} old. Trying to reconnect.`));
    const parts = Object.entries(now.health?.parts || {}).filter(([name, p]) => !p.ok && name !== 'config');
    unwell.hidden = gone || !parts.length;
    if (parts.length) put(unwell, 'StreamPulse itself is unwell', h('span', { class: 'detail' }, parts.map(([name, p]) => `${name}: ${p.reason}`).join('; ')));
    const problem = now.health?.parts?.config;
    config.hidden = gone || !problem || problem.ok;
    if (problem && !problem.ok) put(config, 'The configuration file was refused', h('span', { class: 'detail' }, problem.reason, ' What ran before goes on. ', link('/settings/config', {}, 'Show')));
  };
  live.subscribe((what) => { if (what === 'connection' || what === 'health') draw(); });
  setInterval(() => { if (!lost.hidden) draw(); }, 1000);
  draw();
  return [lost, unwell, config];
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
  live.stop();
  await boot();
}

function frame() {
  const conn = h('span', { class: 'faint', title: 'Live updates' });
  const drawConn = () => setText(conn, now.connected ? '● live' : '○ offline');
  live.subscribe((what) => { if (what === 'connection') drawConn(); });
  drawConn();
  put(root, h('div', { class: 'bar' },
    link('/', { class: 'brand' }, h('img', { src: '/ui/icon.svg', alt: '' }), 'StreamPulse', session.demo ? h('span', { class: 'tag' }, 'demo') : null),
    h('nav', { class: 'nav', 'aria-label': 'Pages' }, link('/', {}, 'Streams'), link('/incidents', {}, 'Incidents'), link('/settings', {}, 'Settings')),
    h('div', { class: 'tools' }, conn, themeButton(),
      session.login_required ? h('span', { class: 'muted nowrap who' }, session.user) : null,
      session.login_required ? h('button', { class: 'btn small', type: 'button', onclick: signOut }, 'Sign out') : null)),
  banners(), main);
}

export async function boot() {
  try {
    await loadSession();
  } catch (e) {
    put(root, h('div', { class: 'gate' }, h('div', { class: 'card' }, h('h1', {}, 'StreamPulse does not answer'), h('p', { class: 'muted' }, e.message), h('p', {}, h('button', { class: 'btn', type: 'button', onclick: boot }, 'Try again')))));
    return;
  }
  if (session.setup_needed || !session.signed_in) {
    live.stop();
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
    const box = document.querySelector('input[type=search]');
    if (box) { e.preventDefault(); box.focus(); } else { e.preventDefault(); go('/'); }
  } else if (e.key === 'n' && session.signed_in && may('administrator')) go('/streams/new');
});
boot();

// Preview: a decoded key frame that is refreshed while the page is in sight, and five seconds of motion on demand.
// Each picture costs the camera a session, so nothing is fetched before somebody asks.

import { h, put } from './dom.js';
import { clock } from './format.js';

const REFRESH_MS = 10000;
const LIVE_MS = 5500;

export function previewCard(id, target) {
  const screen = h('div', { class: 'preview' }, h('p', {}, 'Not fetched yet. A preview opens one more session to the stream.'));
  const note = h('span', { class: 'faint' });
  const button = h('button', { class: 'btn small', type: 'button' }, 'Show');
  const live = h('button', { class: 'btn small', type: 'button' }, 'Play 5 s');
  let timer = 0;
  let url = null;
  let on = false;

  const show = (node) => put(screen, node);
  const stop = () => { on = false; clearTimeout(timer); button.textContent = 'Show'; if (url) URL.revokeObjectURL(url); url = null; };
  const next = () => { clearTimeout(timer); if (on) timer = setTimeout(fetchOne, REFRESH_MS); };

  async function fetchOne() {
    if (document.visibilityState !== 'visible') return next();
    try {
      const reply = await fetch(`/api/v1/targets/${encodeURIComponent(id)}/snapshot.jpg?max_age_ms=5000`, { credentials: 'same-origin' });
      if (!reply.ok) {
        const e = await reply.json().catch(() => null);
        throw new Error(e?.error?.message || `the server answered ${reply.status}`);
      }
      const blob = await reply.blob();
      if (!on) return;
      if (url) URL.revokeObjectURL(url);
      url = URL.createObjectURL(blob);
      show(h('img', { src: url, alt: `Picture of ${target()?.name || id}` }));
      note.textContent = clock(Date.now());
    } catch (e) {
      if (on) { show(h('p', {}, `No picture: ${e.message}`)); note.textContent = ''; }
    }
    next();
  }
  button.onclick = () => {
    if (on) { stop(); show(h('p', {}, 'Stopped.')); note.textContent = ''; return; }
    on = true;
    button.textContent = 'Stop';
    show(h('p', {}, 'Waiting for a key frame …'));
    fetchOne();
  };
  live.onclick = async () => {
    const t = target();
    if (!t) return;
    stop();
    live.disabled = true;
    const img = h('img', { alt: `Live picture of ${t.name}` });
    img.onerror = () => show(h('p', {}, 'No picture came.'));
    show(img);
    img.src = `/preview/${encodeURIComponent(t.name)}?t=${Date.now()}`;
    timer = setTimeout(() => { live.disabled = false; note.textContent = ''; }, LIVE_MS);
    note.textContent = 'live';
  };
  return { node: h('section', { class: 'card' }, h('header', {}, h('h2', {}, 'Preview'), h('div', { class: 'tools' }, note, live, button)), screen), stop };
}

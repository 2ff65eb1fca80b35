// Incidents of all streams, newest first, open ones on top.

import { get, query } from './api.js';
import { h, link, put, segments } from './dom.js';
import { dateTime, span, STATUS } from './format.js';
import { serverNow, subscribe } from './live.js';

const PAGE_ROWS = 50;

export function make() {
  const body = h('tbody');
  const more = h('button', { class: 'btn', type: 'button', hidden: true }, 'Older');
  const empty = h('p', { class: 'empty', hidden: true });
  let open = false;
  let next = null;
  let turn = 0;

  const row = (i) => h('tr', {},
    h('td', {}, h('span', { class: `pill ${i.closed_at ? 'unknown' : i.worst}` }, i.closed_at ? 'Ended' : STATUS[i.worst])),
    h('td', {}, link(`/streams/${encodeURIComponent(i.target)}`, {}, i.name)),
    h('td', { class: 'nowrap' }, dateTime(i.opened_at)),
    h('td', { class: 'nowrap' }, i.closed_at ? dateTime(i.closed_at) : 'still open'),
    h('td', { class: 'nowrap num', 'data-label': 'for' }, span((i.closed_at || serverNow()) - i.opened_at)),
    h('td', { class: 'wrap' }, i.cause));

  async function load(fresh) {
    const mine = ++turn;
    more.disabled = true;
    try {
      const page = await get(`/incidents${query({ limit: PAGE_ROWS, open: open || null, before: fresh ? null : next })}`);
      if (mine !== turn) return;
      const rows = page.incidents.map(row);
      fresh ? put(body, rows) : body.append(...rows);
      next = page.next;
      more.hidden = next === null;
      empty.hidden = body.children.length > 0;
      put(empty, open ? 'Nothing is in trouble.' : 'There were no incidents yet.');
    } catch (e) {
      if (mine === turn) { put(body); empty.hidden = false; put(empty, `The incidents could not be read: ${e.message}`); }
    }
    more.disabled = false;
  }
  const seg = segments('Filter', [[false, 'All'], [true, 'Open']], (v) => { open = v; seg.draw(open); load(true); });
  more.onclick = () => load(false);
  seg.draw(open);
  load(true);
  let later = 0;
  const unsubscribe = subscribe((what) => { if (what === 'incident' && !later) later = setTimeout(() => { later = 0; load(true); }, 500); });
  return {
    title: 'Incidents',
    node: h('div', { class: 'stack' }, h('div', { class: 'row' }, h('h1', { class: 'grow' }, 'Incidents'), seg.node),
      h('section', { class: 'card' }, h('div', { class: 'scroll-x' }, h('table', { class: 'table flow' }, h('thead', {}, h('tr', {}, h('th', {}, 'Now'), h('th', {}, 'Stream'), h('th', {}, 'Began'), h('th', {}, 'Ended'), h('th', { class: 'num' }, 'Duration'), h('th', {}, 'Cause'))), body)), empty), h('div', {}, more)),
    destroy() { unsubscribe(); clearTimeout(later); },
  };
}

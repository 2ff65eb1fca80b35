// Settings that concern who may do what: users, API tokens, and the log of changes.

import { del, get, patch, post, query, session } from './api.js';
import { ask, h, put, toast } from './dom.js';
import { dateTime } from './format.js';

const ROLES = ['viewer', 'operator', 'administrator'];
const MIN_PASSWORD = 10;

const card = (title, note, ...body) => h('section', { class: 'card' }, h('header', {}, h('h2', {}, title)), h('div', { class: 'body stack' }, note ? h('p', { class: 'muted' }, note) : null, body));
const roleSelect = (value) => { const node = h('select', { class: 'input', 'aria-label': 'Role' }, ROLES.map((r) => h('option', { value: r }, r))); node.value = value; return node; };
const table = (heads, body) => h('div', { class: 'scroll-x' }, h('table', { class: 'table flow' }, h('thead', {}, h('tr', {}, heads.map((x) => h('th', {}, x)))), body));
const attempt = (f, reload) => async () => { try { await f(); await reload(); } catch (e) { toast(e.message, 'bad'); } };

export function users() {
  const body = h('tbody');
  const load = async () => {
    try {
      const { users: list } = await get('/users');
      put(body, list.length ? list.map((u) => {
        const role = roleSelect(u.role);
        role.onchange = attempt(() => patch(`/users/${encodeURIComponent(u.name)}`, { role: role.value }), load);
        const password = h('input', { class: 'input', type: 'password', autocomplete: 'new-password', placeholder: 'New password', 'aria-label': `New password of ${u.name}` });
        return h('tr', {}, h('td', {}, u.name, u.name === session.user ? h('span', { class: 'faint' }, ' (you)') : null), h('td', {}, role),
          h('td', {}, h('form', { class: 'row', onsubmit: (e) => { e.preventDefault(); attempt(async () => { await patch(`/users/${encodeURIComponent(u.name)}`, { password: password.value }); toast(`The password of ${u.name} is changed`); }, load)(); } }, h('span', { class: 'grow' }, password), h('button', { class: 'btn small', type: 'submit' }, 'Change'))),
          h('td', { class: 'nowrap' }, dateTime(u.created_at)),
          h('td', { class: 'right' }, h('button', { class: 'btn small danger', type: 'button', onclick: attempt(async () => { if (await ask(`Delete ${u.name}?`, 'Open sessions of this user end at once.', 'Delete')) await del(`/users/${encodeURIComponent(u.name)}`); }, load) }, 'Delete')));
      }) : h('tr', {}, h('td', { colspan: 5, class: 'muted' }, 'There are no users.')));
    } catch (e) { toast(e.message, 'bad'); }
  };
  const name = h('input', { class: 'input', autocomplete: 'off', required: true });
  const password = h('input', { class: 'input', type: 'password', autocomplete: 'new-password', required: true, minlength: MIN_PASSWORD });
  const role = roleSelect('viewer');
  const form = h('form', { class: 'form', onsubmit: (e) => { e.preventDefault(); attempt(async () => { await post('/users', { name: name.value.trim(), role: role.value, password: password.value }); form.reset(); }, load)(); } },
    h('div', { class: 'grid2' }, h('label', { class: 'field' }, h('span', { class: 'label' }, 'User name'), name), h('label', { class: 'field' }, h('span', { class: 'label' }, 'Password'), password, h('span', { class: 'help' }, `At least ${MIN_PASSWORD} characters.`)), h('label', { class: 'field' }, h('span', { class: 'label' }, 'Role'), role)),
    h('div', {}, h('button', { class: 'btn primary', type: 'submit' }, 'Add user')));
  load();
  return { node: h('div', { class: 'stack' }, card('Users', 'Viewers look, operators test and pause, administrators change everything.', table(['Name', 'Role', 'Password', 'Since', ''], body)), card('Add a user', null, form)) };
}

export function tokens() {
  const body = h('tbody');
  const fresh = h('div');
  const load = async () => {
    try {
      const { tokens: list } = await get('/tokens');
      put(body, list.length ? list.map((t) => h('tr', {}, h('td', {}, t.name), h('td', {}, t.role), h('td', { class: 'nowrap' }, dateTime(t.created_at)), h('td', { class: 'nowrap' }, t.last_used_at ? dateTime(t.last_used_at) : 'never'),
        h('td', { class: 'right' }, h('button', { class: 'btn small danger', type: 'button', onclick: attempt(async () => { if (await ask(`Revoke ${t.name}?`, 'Whoever uses this token is refused at once.', 'Revoke')) await del(`/tokens/${encodeURIComponent(t.id)}`); }, load) }, 'Revoke')))) : h('tr', {}, h('td', { colspan: 5, class: 'muted' }, 'There are no tokens.')));
    } catch (e) { toast(e.message, 'bad'); }
  };
  const name = h('input', { class: 'input', required: true, autocomplete: 'off' });
  const role = roleSelect('viewer');
  const form = h('form', { class: 'form', onsubmit: (e) => { e.preventDefault(); attempt(async () => {
    const { token } = await post('/tokens', { name: name.value.trim(), role: role.value });
    put(fresh, h('div', { class: 'notice good' }, h('b', {}, 'Copy it now: it is not shown again.'), h('div', { class: 'mono wrap' }, token)));
    form.reset();
  }, load)(); } }, h('div', { class: 'grid2' }, h('label', { class: 'field' }, h('span', { class: 'label' }, 'What it is for'), name), h('label', { class: 'field' }, h('span', { class: 'label' }, 'Role'), role)), h('div', {}, h('button', { class: 'btn primary', type: 'submit' }, 'Make a token')), fresh);
  load();
  return { node: h('div', { class: 'stack' }, card('API tokens', 'For programs: send "Authorization: Bearer" with the token.', table(['Name', 'Role', 'Made', 'Last used', ''], body)), card('Make a token', null, form)) };
}

export function audit() {
  const body = h('tbody');
  const more = h('button', { class: 'btn', type: 'button', hidden: true }, 'Older');
  let next = null;
  const load = async () => {
    try {
      const page = await get(`/audit${query({ limit: 100, before: next })}`);
      body.append(...page.rows.map((r) => h('tr', {}, h('td', { class: 'nowrap' }, dateTime(r.at)), h('td', {}, r.actor), h('td', {}, r.action), h('td', { class: 'wrap' }, r.subject), h('td', { class: 'wrap' }, r.detail))));
      next = page.next;
      more.hidden = next === null;
      if (!body.children.length) body.append(h('tr', {}, h('td', { colspan: 5, class: 'muted' }, 'Nothing was changed yet.')));
    } catch (e) { toast(e.message, 'bad'); }
  };
  more.onclick = load;
  load();
  return { node: card('Audit log', 'Every change made through the page or the API.', table(['When', 'Who', 'What', 'Of what', 'Detail'], body), h('div', {}, more)) };
}

// Sign-in and first set-up.

import { post, session } from './api.js';
import { h, put } from './dom.js';

const MIN_PASSWORD = 10;

function field(label, name, type, autocomplete, help) {
  const input = h('input', { class: 'input', name, type, autocomplete, required: true });
  return { input, node: h('label', { class: 'field' }, h('span', { class: 'label' }, label), input, help ? h('span', { class: 'help' }, help) : null) };
}

function shell(title, text, fields, action, submit) {
  const problem = h('div', { class: 'notice bad', role: 'alert', hidden: true });
  const button = h('button', { class: 'btn primary', type: 'submit' }, action);
  const form = h('form', {}, fields.map((f) => f.node), problem, button);
  form.addEventListener('submit', async (e) => {
    e.preventDefault();
    problem.hidden = true;
    button.disabled = true;
    try {
      await submit();
    } catch (error) {
      put(problem, error.message);
      problem.hidden = false;
    }
    button.disabled = false;
  });
  queueMicrotask(() => fields[0].input.focus());
  return h('div', { class: 'gate' },
    h('div', { class: 'brand' }, h('img', { src: '/ui/icon.svg', alt: '' }), 'StreamPulse'),
    h('main', { class: 'card', id: 'main' }, h('h1', {}, title), text ? h('p', { class: 'muted' }, text) : null, form));
}

/** The page before the dashboard. `done` is called once somebody is signed in. */
export function gate(done) {
  if (session.setup_needed) {
    const token = field('Set-up token', 'token', 'password', 'off', 'Printed by StreamPulse when it started.');
    const given = new URLSearchParams(location.hash.slice(1)).get('token');
    if (given) { token.input.value = given; history.replaceState(null, '', location.pathname); }
    const user = field('Your user name', 'user', 'text', 'username');
    const pass = field('Password', 'password', 'password', 'new-password', `At least ${MIN_PASSWORD} characters.`);
    return shell('Welcome', 'Make the first administrator of this instance.', [token, user, pass], 'Set up', async () => {
      await post('/setup', { token: token.input.value.trim(), user: user.input.value.trim(), password: pass.input.value });
      await done();
    });
  }
  const user = field('User name', 'user', 'text', 'username');
  const pass = field('Password', 'password', 'password', 'current-password');
  return shell('Sign in', null, [user, pass], 'Sign in', async () => {
    await post('/session', { user: user.input.value.trim(), password: pass.input.value });
    await done();
  });
}

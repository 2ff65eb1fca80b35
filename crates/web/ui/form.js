// Turns field descriptions of the server into inputs, and inputs back into configuration values.

import { h, put } from './dom.js';

const words = (list) => (Array.isArray(list) ? list.join(', ') : list ?? '');
const label = (key) => (key === 'url' ? 'URL' : key.replaceAll('_', ' ').replace(/^./, (c) => c.toUpperCase()));

/** One field: {key, node, read(): value|null|undefined, problem(text)}. `null` means "take the key out". */
export function input(field, value) {
  const problem = h('div', { class: 'problem', hidden: true });
  const id = `f-${field.key}-${Math.random().toString(36).slice(2, 8)}`;
  const hint = field.hint || (field.default !== null && field.default !== undefined ? `default ${field.default}` : '');
  const given = value !== undefined && value !== null;
  let control;
  let read;
  const text = (type) => h(type === 'area' ? 'textarea' : 'input', { class: 'input', id, rows: type === 'area' ? 3 : null, type: type === 'area' ? null : type, placeholder: hint, autocomplete: 'off', spellcheck: 'false' });
  const plain = (parse = (x) => x) => () => (control.value.trim() === '' ? null : parse(control.value.trim()));
  if (field.type === 'bool') {
    control = select(id, [['', hint ? `Default (${field.default})` : 'Not set'], ['true', 'Yes'], ['false', 'No']], given ? String(value) : '');
    read = () => (control.value === '' ? null : control.value === 'true');
  } else if (field.type === 'choice') {
    control = select(id, [['', field.empty || (hint ? `Default (${field.default})` : 'Not set')], ...field.choices.map((c) => [c, c])], given ? String(value) : '');
    read = plain();
  } else if (field.type === 'integer' || field.type === 'number') {
    control = text('text');
    control.inputMode = field.type === 'integer' ? 'numeric' : 'decimal';
    if (given) control.value = value;
    read = plain((x) => (Number.isNaN(Number(x)) ? x : Number(x)));
  } else if (field.type === 'list') {
    control = text('text');
    control.value = words(given ? value : '');
    if (!hint) control.placeholder = 'separated by commas';
    const item = (x) => (field.of === 'integer' && x !== '' && !Number.isNaN(Number(x)) ? Number(x) : x);
    read = plain((x) => x.split(',').map((p) => p.trim()).filter(Boolean).map(item));
  } else if (field.type === 'map') {
    control = text('area');
    control.placeholder = 'Name: value, one a line';
    if (given) control.value = Object.entries(value).map(([k, v]) => `${k}: ${v}`).join('\n');
    read = plain((x) => Object.fromEntries(x.split('\n').filter((l) => l.trim()).map((l) => { const i = l.indexOf(':'); return i < 0 ? [l.trim(), ''] : [l.slice(0, i).trim(), l.slice(i + 1).trim()]; })));
  } else {
    control = text(field.type === 'secret' ? 'password' : 'text');
    if (field.type === 'secret') control.autocomplete = 'new-password';
    if (given) control.value = String(value);
    read = plain();
  }
  control.name = field.key;
  const range = field.min !== null && field.min !== undefined && field.type !== 'text' ? ` Accepted: ${field.min} to ${field.max}.` : '';
  const node = h('div', { class: 'field' }, h('label', { class: 'label', for: id }, field.title || label(field.key), field.required ? ' *' : ''), control, problem, h('span', { class: 'help' }, prose(`${field.doc}${range}`)));
  return { key: field.key, node, control, read, problem(text) { problem.hidden = !text; put(problem, text || ''); node.classList.toggle('wrong', Boolean(text)); } };
}

/** Words between backticks are code. */
export const prose = (text) => text.split('`').map((part, i) => (i % 2 ? h('code', {}, part) : part));

function select(id, options, value) {
  const node = h('select', { class: 'input', id }, options.map(([v, l]) => h('option', { value: v }, l)));
  node.value = value;
  return node;
}

/** Shows each problem beside its field; answers those that belong to none. */
export function place(problems, inputs) {
  for (const i of inputs) i.problem('');
  const rest = [];
  for (const p of problems) {
    const key = p.path.split('.').pop().replace(/\[\d+\]$/, '');
    const owner = inputs.find((i) => i.key === key);
    const words = p.remedy ? `${p.message} (${p.remedy})` : p.message;
    owner ? owner.problem(words) : rest.push(p);
  }
  return rest;
}

/** A list of problems; `jump(line)` makes the places clickable. */
export function problemList(problems, jump) {
  return h('ul', { class: 'problems' }, problems.map((p) => h('li', {},
    p.line ? (jump ? h('button', { class: 'where', type: 'button', onclick: () => jump(p.line) }, `line ${p.line}, column ${p.column}`) : h('span', { class: 'where' }, `line ${p.line}, column ${p.column}`)) : null,
    h('div', { class: 'wrap' }, p.path ? h('code', {}, p.path) : null, p.path ? ': ' : '', p.message), p.remedy ? h('div', { class: 'muted wrap' }, p.remedy) : null)));
}

// Words for numbers. What is unknown is a dash, never zero and never good.

import { session } from './api.js';

export const NONE = '–';

let zone = null;
/** The zone for presentation: what this browser chose, else the server's. */
export function timezone() {
  if (zone) return zone;
  try { zone = localStorage.getItem('timezone'); } catch { /* storage denied */ }
  return zone || session.timezone || 'UTC';
}
export function setTimezone(name) {
  zone = name || null;
  try { name ? localStorage.setItem('timezone', name) : localStorage.removeItem('timezone'); } catch { /* storage denied */ }
  formats.clear();
}

const formats = new Map();
function format(kind, options) {
  const key = `${kind} ${timezone()}`;
  if (!formats.has(key)) {
    let f;
    try { f = new Intl.DateTimeFormat('en-GB', { ...options, timeZone: timezone() }); } catch { f = new Intl.DateTimeFormat('en-GB', { ...options, timeZone: 'UTC' }); }
    formats.set(key, f);
  }
  return formats.get(key);
}
const DATE = { year: 'numeric', month: '2-digit', day: '2-digit' };
const TIME = { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' };

export function dateTime(ms) {
  if (ms === null || ms === undefined) return NONE;
  const p = Object.fromEntries(format('dt', { ...DATE, ...TIME }).formatToParts(ms).map((x) => [x.type, x.value]));
  return `${p.year}-${p.month}-${p.day} ${p.hour}:${p.minute}:${p.second}`;
}
export const clock = (ms) => (ms === null || ms === undefined ? NONE : format('t', TIME).format(ms));
export const hourMinute = (ms) => format('hm', { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }).format(ms);
export const dayMonth = (ms) => format('dm', { day: '2-digit', month: 'short' }).format(ms);

/** A span in its two greatest units: 3 d 4 h, 5 min 2 s, 340 ms. */
export function span(ms) {
  if (ms === null || ms === undefined || Number.isNaN(ms)) return NONE;
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  let rest = Math.floor(ms / 1000);
  const out = [];
  for (const [unit, size] of [['d', 86400], ['h', 3600], ['min', 60], ['s', 1]]) {
    const n = Math.floor(rest / size);
    rest -= n * size;
    if (n || out.length) out.push(`${n} ${unit}`);
    if (out.length === 2) break;
  }
  return out.filter((x, i) => i === 0 || !x.startsWith('0 ')).join(' ');
}
export const ago = (ms, now) => (ms === null || ms === undefined ? NONE : `${span(Math.max(0, now - ms))} ago`);
export const millis = (ms) => (ms === null || ms === undefined ? NONE : ms >= 10000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms)} ms`);

/** Availability: never rounds up to 100 %. */
export function percent(ratio) {
  if (ratio === null || ratio === undefined) return NONE;
  if (ratio >= 1) return '100 %';
  const digits = ratio >= 0.9999 ? 3 : ratio >= 0.99 ? 2 : 1;
  const scale = 10 ** digits;
  return `${(Math.floor(ratio * 100 * scale) / scale).toFixed(digits)} %`;
}
export const count = (n) => (n === null || n === undefined ? NONE : n.toLocaleString('en'));
export function bytes(n) {
  if (n === null || n === undefined) return NONE;
  for (const unit of ['B', 'KiB', 'MiB', 'GiB']) {
    if (n < 1024 || unit === 'GiB') return `${n >= 100 || unit === 'B' ? Math.round(n) : n.toFixed(1)} ${unit}`;
    n /= 1024;
  }
  return NONE;
}
export const number = (x) => (x === null || x === undefined ? NONE : String(Math.round(x * 100) / 100));

/** One track in short: h264 1280×720 25 fps, aac 48 kHz stereo. */
export function track(t) {
  const out = [t.codec];
  if (t.width && t.height) out.push(`${t.width}×${t.height}`);
  if (t.fps) out.push(`${number(t.fps)} fps`);
  if (t.sample_rate_hz) out.push(`${number(t.sample_rate_hz / 1000)} kHz`);
  return out.join(' ');
}

const FACTS = {
  status_code: 'Status code', server: 'Server', cert_expires_at: 'Certificate ends', cert_unchecked: 'Certificate not checked',
  tls_version: 'TLS version', transport: 'Transport', rtp_packets: 'RTP packets', rtp_lost: 'RTP packets lost', body_bytes: 'Body',
  measured_fps: 'Measured frame rate', measured_bitrate_bps: 'Measured bit rate', hint: 'Hint',
  redirects: 'Redirects', content_type: 'Content type', frame_bytes: 'Frame', head_refused: 'HEAD refused, GET used', peer: 'Peer',
  rtt_ms: 'Round trip', rtt_min_ms: 'Shortest round trip', rtt_max_ms: 'Longest round trip', rtt_mdev_ms: 'Deviation of round trips', rtt_rolling_ms: 'Round trip, rolling',
  loss_rolling_ratio: 'Loss, rolling', reply_ttl: 'Time to live of replies', icmp_socket: 'ICMP socket', echo_duplicates: 'Answered twice',
  cpus: 'Processors', cpu_limit: 'Limit of processors', cpu_used_ratio: 'CPU', cpu_user_ratio: 'CPU in programs', cpu_system_ratio: 'CPU in the kernel', cpu_iowait_ratio: 'CPU waiting for disks', cpu_irq_ratio: 'CPU serving interrupts', cpu_steal_ratio: 'CPU stolen by the hypervisor',
  load_1: 'Load of 1 minute', load_5: 'Load of 5 minutes', load_15: 'Load of 15 minutes', file_systems: 'File system', disks: 'Disk', interfaces: 'Interface', temperatures: 'Sensor', files_used_ratio: 'Files used',
  memory_size_bytes: 'Memory', memory_used_bytes: 'Memory in use', memory_used_ratio: 'Memory used', swap_size_bytes: 'Swap', in_bps: 'In', out_bps: 'Out', temperature_c: 'Temperature', critical_c: 'Critical at',
  own_cpus: 'StreamPulse: processors', own_memory_bytes: 'StreamPulse: memory', own_threads: 'StreamPulse: threads', own_open_files: 'StreamPulse: open files',
  held_for_s: 'Held for', timestamp_gap_ms: 'Largest step of timestamps', arrival_gap_ms: 'Longest silence', keyframe_interval_ms: 'Key frame every', audio_bitrate_bps: 'Bit rate of sound', video_bitrate_bps: 'Bit rate of video',
};
export const factName = (key) => FACTS[key] || key.replace(/_(bytes_per_s|per_s|bytes|ms|s|ratio)$/, '').replaceAll('_', ' ').replace(/^./, (c) => c.toUpperCase());
/** What a row of a fact says: a plugin's value with its bounds, or each of its values by name. */
function rowText({ name, value, unit, warn, crit, min, max, ...rest }) {
  const has = (x) => x !== undefined;
  const bounds = [has(warn) && `warns beyond ${warn}`, has(crit) && `critical beyond ${crit}`, has(min) && has(max) && `of ${number(min)} to ${number(max)}`].filter(Boolean);
  const own = has(value) ? [`${number(value)}${unit ? ` ${unit}` : ''}${bounds.length ? ` (${bounds.join(', ')})` : ''}`] : [];
  return [...own, ...Object.entries(rest).map(([k, v]) => `${factName(k).toLowerCase()} ${factValue(k, v)}`)].join(', ') || NONE;
}
/** Facts as pairs of name and text; each row of a fact is a pair. */
export const factPairs = (facts) => Object.entries(facts).flatMap(([k, v]) => (Array.isArray(v) ? v.map((row) => [`${factName(k)}: ${row.name}`, rowText(row)]) : [[factName(k), factValue(k, v)]]));
export function factValue(key, value) {
  if (value === null || value === undefined) return NONE;
  if (key.endsWith('_at')) return dateTime(value);
  if (key.endsWith('_bytes')) return bytes(value);
  if (key.endsWith('_bps')) return value >= 1e6 ? `${number(value / 1e6)} Mbit/s` : `${number(value / 1e3)} kbit/s`;
  if (key.endsWith('_fps')) return `${number(value)} fps`;
  if (key.endsWith('_bytes_per_s')) return `${bytes(value)}/s`;
  if (key.endsWith('_per_s')) return `${number(value)}/s`;
  if (key.endsWith('_s')) return value >= 60 ? span(value * 1000) : `${number(value)} s`;
  if (key.endsWith('_c')) return `${number(value)} °C`;
  if (key.endsWith('_ratio')) return `${number(value * 100)} %`;
  if (key.endsWith('_ms')) return value >= 10000 ? `${number(value / 1000)} s` : `${number(value)} ms`;
  if (value === true) return 'yes';
  if (value === false) return 'no';
  return typeof value === 'number' ? number(value) : String(value);
}

/** What a look without tracks saw, in short; empty when there is nothing shorter than its facts. */
export function brief({ facts: f }) {
  const has = (key) => f[key] !== undefined;
  if (has('message')) return f.message;
  if (has('rtt_ms')) return `${f.echoes_answered} of ${f.echoes_sent} echoes · ${factValue('rtt_ms', f.rtt_ms)}`;
  const fullest = (f.file_systems || []).reduce((worst, row) => (!worst || row.used_ratio > worst.used_ratio ? row : worst), null);
  return [has('cpu_used_ratio') && `CPU ${percentOf(f.cpu_used_ratio)}`, has('memory_used_ratio') && `memory ${percentOf(f.memory_used_ratio)}`,
    fullest && `${fullest.name} ${percentOf(fullest.used_ratio)} full`].filter(Boolean).join(' · ');
}
const percentOf = (ratio) => `${Math.round(ratio * 100)} %`;

/** Parts of StreamPulse itself, as /health names them. */
export const PARTS = { store: 'Store', engine: 'Engine', clock: 'Clock', config: 'Configuration', services: 'Services' };
export const STATUS = { up: 'Up', degraded: 'Degraded', down: 'Down', unknown: 'Unknown', paused: 'Paused', maintenance: 'Maintenance' };
export const PHASES = ['resolve', 'connect', 'tls', 'options', 'describe', 'setup', 'play', 'handshake', 'first_byte', 'transfer', 'media', 'command', 'check'];
export const phaseName = (p) => p.replaceAll('_', ' ');
export const phaseColour = (p) => `var(--c${(Math.max(0, PHASES.indexOf(p)) % 8) + 1})`;

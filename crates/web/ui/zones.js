// Days of a calendar in the zone in which times are shown: where a day begins, whatever the clocks do.

import { timezone } from './format.js';

const formats = new Map();
function parts(ms, zone) {
  if (!formats.has(zone)) formats.set(zone, new Intl.DateTimeFormat('en', { timeZone: zone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric' }));
  return Object.fromEntries(formats.get(zone).formatToParts(ms).map((p) => [p.type, Number(p.value)]));
}

/** The zone's clock minus UTC at a time, in ms. */
function offset(ms, zone) {
  const p = parts(ms, zone);
  return Date.UTC(p.year, p.month - 1, p.day, p.hour, p.minute, p.second) - Math.floor(ms / 1000) * 1000;
}

/** The day on which a time is. */
export function dayOf(ms, zone = timezone()) {
  const { year, month, day } = parts(ms, zone);
  return { year, month, day };
}
export const today = (ms) => dayOf(ms);

/** When a day begins. Where midnight does not exist it is the first moment after. */
export function startOf({ year, month, day }, zone = timezone()) {
  const wall = Date.UTC(year, month - 1, day);
  // The offset may change between the guess and the day's beginning; the second answer is right.
  const first = wall - offset(wall, zone);
  return wall - offset(first, zone);
}

/** Days later, or earlier. */
export function addDays({ year, month, day }, days) {
  const at = new Date(Date.UTC(year, month - 1, day + days));
  return { year: at.getUTCFullYear(), month: at.getUTCMonth() + 1, day: at.getUTCDate() };
}

// Windows of the schedule: their days, their times and their limits, in words and as fields of a form.
import { date, rate, readRate } from "../../lib/format.js";
import { language, t } from "../../lib/words.js";

const names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/** dayNames returns the days of the week in the language of the page, Monday first. @param {"short"|"long"} width */
export function dayNames(width = "short") {
  const format = new Intl.DateTimeFormat(language().tag, { weekday: width, timeZone: "UTC" });
  return names.map((_, day) => format.format(Date.UTC(2024, 0, 1 + day))); // 1 January 2024 was a Monday
}

/** daysOf reads days as the daemon writes them, "mon-fri,sun"; "" is every day. It returns for each day, Monday first, whether it is one. */
export function daysOf(text = "") {
  const at = (name) => names.indexOf(name.trim().slice(0, 3).toLowerCase());
  if (text.trim() === "") return names.map(() => true);
  const days = names.map(() => false);
  for (const part of text.split(",")) {
    const [first, last = first] = part.split("-").map(at);
    if (first < 0 || last < 0) continue;
    for (let day = first; ; day = (day + 1) % 7) {
      days[day] = true;
      if (day === last) break;
    }
  }
  return days;
}

// rangesOf returns the first and last days of the runs of days.
function rangesOf(days) {
  const ranges = [];
  days.forEach((on, day) => {
    if (on && day > 0 && days[day - 1]) ranges.at(-1)[1] = day;
    else if (on) ranges.push([day, day]);
  });
  return ranges;
}

const written = (days, of, dash) => rangesOf(days).map(([a, b]) => (a === b ? of[a] : b === a + 1 ? `${of[a]},${dash === "-" ? "" : " "}${of[b]}` : `${of[a]}${dash}${of[b]}`)).join(dash === "-" ? "," : ", ");

/** textOfDays writes days as the daemon reads them. @param {boolean[]} days Monday first */
export function textOfDays(days) {
  return days.every(Boolean) ? "" : written(days, names, "-");
}

/** daysInWords returns days for people: "Mon–Fri, Sun". */
export function daysInWords(text) {
  const days = daysOf(text);
  return days.every(Boolean) ? t("Every day") : written(days, dayNames(), "–");
}

/** whenOf says when a window applies. */
export function whenOf(window) {
  if (window.until) return window.since ? t("Once, from %1s until %2s", date(window.since), date(window.until)) : t("Once, until %s", date(window.until));
  const days = daysInWords(window.days);
  if (!window.from) return t("%s, the whole day", days);
  if (minutes(window.to) <= minutes(window.from)) return t("%1s, %2s–%3s of the next day", days, window.from, window.to);
  return t("%1s, %2s–%3s", days, window.from, window.to);
}

const minutes = (clock) => clock.split(":").reduce((hours, rest) => hours * 60 + Number(rest), 0);

/** whatOf says what limits do; "" if they limit nothing. */
export function whatOf(limits) {
  if (limits.pause) return t("paused");
  return [limits.up > 0 && t("upload at most %s", rate(limits.up)), limits.down > 0 && t("download at most %s", rate(limits.down))].filter(Boolean).join(", ");
}

/** same reports whether two windows of the daemon are the same. */
export function same(a, b) {
  return ["days", "from", "to", "since", "until", "label", "up", "down", "pause"].every((name) => (a[name] || "") === (b[name] || ""));
}

/** replaced returns windows with another one in place of old. Without old it is added, without next old is removed. */
export function replaced(windows, old, next) {
  const at = old ? windows.findIndex((w) => same(w, old)) : -1;
  const list = at < 0 ? [...windows] : windows.toSpliced(at, 1, ...(next ? [next] : []));
  return at < 0 && next ? [...list, next] : list;
}

/** nextClock returns the next time at which the clock of this machine shows clock, "07:00". @param {string} clock @param {Date} now */
export function nextClock(clock, now) {
  const [hours, mins] = clock.split(":").map(Number);
  const next = new Date(now);
  next.setHours(hours, mins, 0, 0);
  if (next <= now) {
    next.setDate(next.getDate() + 1);
    next.setHours(hours, mins, 0, 0); // the clock can be changed in the night
  }
  return next;
}

/** @typedef {{label: string, pause: boolean, up: string, down: string, days: boolean[], whole: boolean, from: string, to: string}} Fields */

/** fieldsOf returns what a form shows for a window. @returns {Fields} */
export function fieldsOf(window) {
  return {
    label: window.label ?? "", pause: Boolean(window.pause), up: rate(window.up), down: rate(window.down),
    days: daysOf(window.days), whole: !window.from, from: window.from || "22:00", to: (window.to || "07:00").replace("24:00", "00:00"),
  };
}

/**
 * limitsOf reads the limits of a form, or returns the name of the field that is not valid: "up", "down", or "none" if
 * there is no limit. Rates that were not edited stay as they are in before.
 * @param {{pause: boolean, up: string, down: string}} fields @param {any} [before] a window
 */
export function limitsOf(fields, before = {}) {
  if (fields.pause) return { limits: { pause: true } };
  const limits = {};
  for (const name of ["up", "down"]) {
    const value = before[name] && fields[name] === rate(before[name]) ? before[name] : readRate(fields[name]);
    if (value === null) return { wrong: name };
    if (value > 0) limits[name] = value;
  }
  return Object.keys(limits).length > 0 ? { limits } : { wrong: "none" };
}

/** windowOf reads a window of the week from a form, or returns what is not valid. @param {Fields} fields @param {any} [before] */
export function windowOf(fields, before) {
  const { limits, wrong } = limitsOf(fields, before);
  if (wrong) return { wrong };
  if (!fields.days.some(Boolean)) return { wrong: "days" };
  const clock = /^\d\d:\d\d$/;
  if (!fields.whole && !(clock.test(fields.from) && clock.test(fields.to))) return { wrong: "times" };
  const window = { ...limits };
  const days = textOfDays(fields.days);
  if (days) window.days = days;
  if (!fields.whole) Object.assign(window, { from: fields.from, to: fields.to });
  if (fields.label.trim()) window.label = fields.label.trim();
  return { window };
}

// Sizes, rates, times and shares as people read them.
import { language, t } from "./words.js";

const units = ["B", "kB", "MB", "GB", "TB", "PB"];
const formats = new Map();

function number(value, digits) {
  const key = `${language().tag} ${digits}`;
  let format = formats.get(key);
  if (!format) formats.set(key, format = new Intl.NumberFormat(language().tag, { minimumFractionDigits: digits, maximumFractionDigits: digits }));
  return format.format(value);
}

/** size formats a number of bytes with three digits, in powers of 1000 as the command line does. @param {number} bytes */
export function size(bytes) {
  let unit = 0;
  let value = Math.max(0, bytes);
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${number(value, unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2)} ${units[unit]}`;
}

/** rate formats bytes a second; "" for none, so that a column of idle torrents is quiet. @param {number} bytes */
export function rate(bytes) {
  return bytes > 0 ? `${size(bytes)}/s` : "";
}

/** percent formats a share from 0 to 1. 100 % is only shown for what is whole. @param {number} share */
export function percent(share) {
  return `${number(Math.floor(Math.min(1, Math.max(0, share)) * 1000) / 10, share >= 1 || share === 0 ? 0 : 1)} %`;
}

/** duration formats seconds in the two largest units. @param {number} seconds */
export function duration(seconds) {
  const s = Math.round(seconds);
  if (!Number.isFinite(s) || s > 100 * 86400) return "∞";
  if (s < 60) return t("%d s", s);
  if (s < 3600) return t("%1d min %2d s", Math.floor(s / 60), s % 60);
  if (s < 86400) return t("%1d h %2d min", Math.floor(s / 3600), Math.floor(s / 60) % 60);
  return t("%1d d %2d h", Math.floor(s / 86400), Math.floor(s / 3600) % 24);
}

/** date formats a time of the API, or "" if it has none. @param {string} [time] */
export function date(time) {
  return time ? new Date(time).toLocaleString(language().tag, { dateStyle: "medium", timeStyle: "short" }) : "";
}

/** ago formats the distance of a time of the API from now. @param {string} [time] @param {number} [now] in milliseconds */
export function ago(time, now = Date.now()) {
  if (!time) return "";
  const seconds = (new Date(time).getTime() - now) / 1000;
  return seconds < 0 ? t("%s ago", duration(-seconds)) : t("in %s", duration(seconds));
}

/** timeLeft returns the seconds until a torrent is complete, or Infinity. @param {{total_length: number, done: number, down_rate: number}} torrent */
export function timeLeft(torrent) {
  return torrent.down_rate > 0 ? (torrent.total_length - torrent.done) / torrent.down_rate : Infinity;
}

/** ratio returns uploaded to downloaded bytes. Data that was not downloaded counts with its length. */
export function ratio(torrent) {
  const base = torrent.downloaded || torrent.done;
  return base > 0 ? torrent.uploaded / base : 0;
}

/** readRate reads a limit as people write it: "500k", "2 MB/s", "1.5M". It returns bytes a second, 0 for "", or null. */
export function readRate(text) {
  const match = /^\s*([\d.,]+)\s*([kmgt]?)(i?)b?(?:\/s)?\s*$/i.exec(text);
  if (text.trim() === "") return 0;
  if (!match) return null;
  const value = Number(match[1].replace(",", "."));
  const power = " kmgt".indexOf(match[2].toLowerCase() || " ");
  return Number.isFinite(value) ? Math.round(value * (match[3] ? 1024 : 1000) ** power) : null;
}

// The rule of a feed in words and as fields of a form, and the states of feeds.
import { ago, readRate, size } from "../../lib/format.js";
import { t } from "../../lib/words.js";

/** @typedef {{all: string, any: string, not: string, min: string, max: string, newer: boolean}} RuleFields */

const lists = ["all", "any", "not"];
const sizes = [["min", "min_size"], ["max", "max_size"]];

// A comma separates nothing in a text of a rule but words, as a space does.
const joined = (texts = []) => texts.map((text) => text.replaceAll(",", " ")).join(", ");
const split = (text) => text.split(",").map((one) => one.trim()).filter((one) => one !== "");

/** ruleFieldsOf returns what a form shows for a rule. @returns {RuleFields} */
export function ruleFieldsOf(rule = {}) {
  const fields = { newer: Boolean(rule.newer) };
  for (const name of lists) fields[name] = joined(rule[name]);
  for (const [name, member] of sizes) fields[name] = rule[member] ? size(rule[member]) : "";
  return fields;
}

/**
 * ruleOf reads a rule from a form, or returns the name of the field that is not valid. What was not edited stays as
 * it is in before.
 * @param {RuleFields} fields @param {any} [before] a rule
 */
export function ruleOf(fields, before = {}) {
  const shown = ruleFieldsOf(before);
  const rule = {};
  for (const name of lists) {
    const texts = fields[name] === shown[name] ? before[name] ?? [] : split(fields[name]);
    if (texts.length > 0) rule[name] = texts;
  }
  for (const [name, member] of sizes) {
    const bytes = fields[name] === shown[name] ? before[member] ?? 0 : readRate(fields[name]);
    if (bytes === null) return { wrong: name };
    if (bytes > 0) rule[member] = bytes;
  }
  if (rule.max_size < rule.min_size) return { wrong: "max" };
  if (fields.newer) rule.newer = true;
  return { rule };
}

/** ruleInWords says what a rule wants. */
export function ruleInWords(rule = {}) {
  const quoted = (texts) => texts.map((text) => `“${text}”`).join(", ");
  const parts = [
    rule.all?.length > 0 && t("with %s", quoted(rule.all)),
    rule.any?.length > 0 && t("with one of %s", quoted(rule.any)),
    rule.not?.length > 0 && t("without %s", quoted(rule.not)),
    rule.min_size > 0 && t("at least %s", size(rule.min_size)),
    rule.max_size > 0 && t("at most %s", size(rule.max_size)),
    rule.newer && t("only newer versions"),
  ].filter(Boolean);
  return parts.length > 0 ? parts.join(", ") : t("everything");
}

/** periodInWords says how often a feed is checked. @param {number} [seconds] 0: the default */
export function periodInWords(seconds = 0) {
  const every = seconds || 1800;
  if (every % 86400 === 0) return t("every day|every %d days", every / 86400);
  if (every % 3600 === 0) return t("every hour|every %d hours", every / 3600);
  return t("every minute|every %d minutes", Math.round(every / 60));
}

/** nameOf returns the name of a feed. */
export const nameOf = (feed) => feed.name || feed.title || feed.url;

/** stateOf returns the state of a feed, "paused", "failed", "stalled" or "seeding" as torrents have them, and its words. @param {any} feed @param {number} [now] in milliseconds */
export function stateOf(feed, now) {
  if (feed.paused) return { state: "paused", words: t("Paused") };
  if (feed.error) return { state: "failed", words: feed.failures > 1 ? t("Failed %d times", feed.failures) : t("Failed") };
  if (!feed.checked) return { state: "stalled", words: t("Not checked yet") };
  return { state: "seeding", words: t("Checked %s", ago(feed.checked, now)) };
}

/** sortFeeds returns the feeds that have all words in their name, URL or label, by name. @param {any[]} list @param {string} text */
export function sortFeeds(list, text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return list.filter((feed) => {
    const all = `${nameOf(feed)} ${feed.url} ${feed.label ?? ""}`.toLowerCase();
    return words.every((word) => all.includes(word));
  }).sort((a, b) => nameOf(a).localeCompare(nameOf(b)) || (a.id < b.id ? -1 : 1));
}

/**
 * FeedForm is what the dialog of a feed has; every is in seconds, "0" for the default.
 * @typedef {{url: string, name: string, label: string, dir: string, every: string, existing: boolean, rule: RuleFields}} FeedForm
 */

/** formOf returns what the dialog shows for a feed, or for a new one. @returns {FeedForm} */
export function formOf(feed = {}) {
  return { url: feed.url ?? "", name: feed.name ?? "", label: feed.label ?? "", dir: feed.dir ?? "", every: String(feed.every ?? 0), existing: false, rule: ruleFieldsOf(feed.rule) };
}

/** bodyOf returns the request that follows a new feed. @param {FeedForm} form @param {any} rule as ruleOf returns it */
export function bodyOf(form, rule) {
  const body = { url: form.url.trim(), name: form.name.trim(), rule };
  for (const name of ["label", "dir"]) if (form[name].trim()) body[name] = form[name].trim();
  if (form.every !== "0") body.every = Number(form.every);
  if (form.existing) body.existing = true;
  return body;
}

/** changeOf returns the request that changes a feed: what differs from it. @param {any} feed @param {FeedForm} form @param {any} rule */
export function changeOf(feed, form, rule) {
  const change = {};
  for (const name of ["name", "label", "dir"]) if (form[name].trim() !== (feed[name] ?? "")) change[name] = form[name].trim();
  if (Number(form.every) !== (feed.every ?? 0)) change.every = Number(form.every);
  if (JSON.stringify(ruleOf(ruleFieldsOf(feed.rule), feed.rule).rule) !== JSON.stringify(rule)) change.rule = rule;
  return change;
}

/** fateOf says what becomes of an item of a preview: "here", "seen", "wanted" or "out". */
export function fateOf(item) {
  if (!item.match) return "out";
  return item.here ? "here" : item.seen ? "seen" : "wanted";
}

/** countFates returns the number of items of a preview by their fate. @param {any[]} items */
export function countFates(items) {
  const counts = { wanted: 0, here: 0, seen: 0, out: 0 };
  for (const item of items) counts[fateOf(item)]++;
  return counts;
}

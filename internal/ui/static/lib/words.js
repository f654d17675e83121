// The texts of the page in the user's language. A text is named by its English words.

/** The languages, as those of the public site. */
export const languages = [
  { code: "en", tag: "en", name: "English" },
  { code: "de", tag: "de", name: "Deutsch" },
  { code: "es", tag: "es", name: "Español" },
  { code: "zh", tag: "zh-Hans", name: "简体中文" },
];

let texts = {};
let plural = new Intl.PluralRules("en");
let now = languages[0];

/** language returns the language of the page. */
export const language = () => now;

/** choose returns the language for the tags that the user prefers. @param {readonly string[]} tags */
export function choose(tags) {
  for (const tag of tags) {
    const found = languages.find((l) => l.code === tag.toLowerCase().split("-")[0]);
    if (found) return found;
  }
  return languages[0];
}

/** useTexts makes the page speak a language. @param {typeof languages[0]} language @param {Record<string, any>} loaded */
export function useTexts(language, loaded) {
  now = language;
  texts = loaded;
  plural = new Intl.PluralRules(language.tag);
}

/**
 * t returns a text in the language of the page. %s and %d stand for the arguments in turn, %1s and %2d for a certain
 * one. A text that depends on a number has a form for each plural of the language; English ones are written as
 * "%d torrent|%d torrents".
 * @param {string} text
 * @param {...(string|number)} args
 */
export function t(text, ...args) {
  let found = texts[text] ?? text;
  const number = args.find((arg) => typeof arg === "number");
  if (typeof found === "object") {
    found = found[plural.select(number ?? 0)] ?? found.other;
  } else if (found.includes("|") && number !== undefined) {
    const [one, other] = found.split("|");
    found = number === 1 ? one : other;
  }
  let next = 0;
  return found.replace(/%(\d?)[sd]/g, (_, at) => {
    const arg = args[at ? Number(at) - 1 : next++];
    return typeof arg === "number" ? arg.toLocaleString(now.tag) : String(arg ?? "");
  });
}

/** loadTexts loads the texts of the language that the browser prefers. English has none. */
export async function loadTexts() {
  const language = choose(navigator.languages);
  document.documentElement.lang = language.tag;
  if (language.code === "en") return useTexts(language, {});
  try {
    const answer = await fetch(new URL(`../messages/${language.code}.json`, import.meta.url));
    if (answer.ok) return useTexts(language, await answer.json());
  } catch {
    // The page is English then.
  }
  document.documentElement.lang = "en";
  return undefined;
}

/** The words of the page in the reader's language, and numbers, dates and sizes as that language writes them. */
import en from "./words/en.js";

const LANGUAGES = { en };
const wanted = navigator.languages.map((tag) => tag.split("-")[0]);
export const language = wanted.find((name) => name in LANGUAGES) ?? "en";
const words = LANGUAGES[language];
// Numbers and dates as the reader's region has them, where that is a region of the page's language.
const locale = navigator.languages.find((tag) => tag.split("-")[0] === language) ?? language;

const plural = new Intl.PluralRules(locale);
const numbers = new Intl.NumberFormat(locale);
const whole = new Intl.NumberFormat(locale, { style: "percent" });
const fine = new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: 1 });
const days = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short", timeZone: "UTC" });
const dates = new Intl.DateTimeFormat(locale, { dateStyle: "long", timeZone: "UTC" });
const moments = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" });

/** The string of a name, with `{...}` filled from `values`; numbers are written as the language does. */
export function t(name, values = {}) {
  let text = words[name];
  if (text === undefined) throw new Error(`no words for ${name}`);
  if (typeof text !== "string") text = text[plural.select(values.count)] ?? text.other;
  return text.replace(/\{(\w+)\}/g, (_, key) => {
    const value = values[key];
    return typeof value === "number" ? numbers.format(value) : String(value ?? "");
  });
}

/** Whether there is a string of this name: labels of other models have none. */
export const has = (name) => name in words;

/** What a task is called; other models' tasks have no words. */
export const taskName = (task) => (has(`${task}_title`) ? t(`${task}_title`) : task);

/** What a label is called: those of the wording have words of ours. */
export const labelName = (label) => (has(`veracity_${label}`) ? t(`veracity_${label}`) : label);

/** A share of one, such as 0.873, as "87%"; small and large ones with a decimal, so that 0.997 is never "100%". */
export function percent(share) {
  return (share > 0 && share < 0.01) || (share > 0.99 && share < 1) ? fine.format(share) : whole.format(share);
}

/** A share of one as a percentage with so many decimals. */
export const share = (value, digits) =>
  new Intl.NumberFormat(locale, { style: "percent", minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);

/** A number with exactly so many decimals. */
export const decimal = (value, digits) =>
  new Intl.NumberFormat(locale, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);

/** A day such as "2026-03-01" without its year. */
export const dayShort = (text) => days.format(new Date(`${text}T00:00:00Z`));

export const number = (value) => numbers.format(value);

/** A day such as "2026-03-01" in words; what is no date is given back as it is. */
export function day(text) {
  const date = new Date(`${text}T00:00:00Z`);
  return Number.isNaN(date.valueOf()) ? text : dates.format(date);
}

/** A moment (ISO) in the reader's time zone. */
export function moment(text) {
  const date = new Date(text);
  return Number.isNaN(date.valueOf()) ? text : moments.format(date);
}

/** A size in bytes, such as "1.2 MB". */
export function size(bytes) {
  const [unit, scale] = bytes >= 1e6 ? ["megabyte", 1e6] : ["kilobyte", 1e3];
  const style = { style: "unit", unit, unitDisplay: "short", maximumFractionDigits: 1 };
  return new Intl.NumberFormat(locale, style).format(bytes / scale);
}

const SPANS = [["day", 86400, 2 * 86400], ["hour", 3600, 2 * 3600], ["minute", 60, 90], ["second", 1, 0]];

/** A time in seconds, such as "40 sec", "3 min" or "5 hr". */
export function duration(seconds) {
  const [unit, scale] = SPANS.find(([, , least]) => seconds >= least);
  const value = Math.max(1, Math.round(seconds / scale));
  return new Intl.NumberFormat(locale, { style: "unit", unit, unitDisplay: "short" }).format(value);
}

/** How many words a text has, roughly, as its language parts them. */
export const wordCount = (text) => text.split(/\s+/u).filter(Boolean).length;

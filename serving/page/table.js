/** Many articles: read from a file, asked in batches, answered as they come, and saved as a file. */
import { Problem, plain, saveFile, send, stream, upload, whyTooLarge } from "./api.js";
import { summarySettings } from "./article.js";
import { forget, forgetAnswers, keepAnswers, keepProgress, keepTable, restoreTable } from "./kept.js";
import { back, pause } from "./server.js";
import { change, state } from "./state.js";
import { t } from "./words.js";

const ROWS_AT_ONCE = 60;
const PAUSE_MS = 1000;
/** Of an answer the table keeps what its columns need. */
const NOT_KEPT = ["timings", "models", "id", "index"];

/** The table of this tab: null while there is none. */
export const work = {
  table: null,
  /** By row: an answer, or {error: problem}. */
  answers: new Map(),
  asking: new Set(),
  running: false,
  cancelled: false,
  restored: false,
  /** When this run began, and how much was done then. */
  since: { ms: 0, done: 0 },
};

let control = new AbortController();
let openings = 0;

export const rowError = (row) => work.table.rows[row].error ?? plain(work.answers.get(row)?.error?.detail ?? "");
export const isFailed = (row) => rowError(row) !== "";
export const isDone = (row) => work.answers.has(row) && !isFailed(row);
const isOpen = (row) => !work.answers.has(row) && !work.table.rows[row].error;

export function counts() {
  const rows = work.table.rows.map((_, row) => row);
  const done = rows.filter(isDone).length;
  const failed = rows.filter(isFailed).length;
  return { total: rows.length, done, failed, open: rows.length - done - failed };
}

/** About how many seconds are left; null before that can be told. */
export function leftS({ done, failed, open }) {
  const since = done + failed - work.since.done;
  return since < 5 ? null : (open * (Date.now() - work.since.ms)) / since / 1000;
}

/** Read a table from a file. */
export async function openTable(file) {
  const tooLarge = whyTooLarge(file);
  if (tooLarge) return change({ problem: tooLarge });
  if (work.answers.size && !confirm(t("many_replace", { name: work.table.name }))) return undefined;
  cancel();
  const opening = (openings += 1);
  change({ busy: t("many_reading", { name: file.name }), problem: "" });
  try {
    const table = { name: file.name, ...(await upload("v1/tables/read", file)) };
    if (opening !== openings) return; // another was opened, or this one removed
    cancel(); // the table before may have been started again meanwhile
    Object.assign(work, { table, answers: new Map(), asking: new Set(), cancelled: false });
    await keepTable(table);
    await keepProgress({ running: false });
  } catch (problem) {
    if (opening === openings) change({ problem: problem.message });
  } finally {
    if (opening === openings) change({ busy: "" });
  }
}

/** Take up the table that a reload interrupted, and go on if it was at work. */
export async function restore() {
  if (work.restored) return;
  work.restored = true;
  const found = await restoreTable();
  if (!found || openings) return; // another was opened or removed meanwhile
  Object.assign(work, { table: found.table, answers: found.answers, cancelled: Boolean(found.progress.cancelled) });
  change(found.progress.settings ? { settings: found.progress.settings } : {});
  if (found.progress.running) start();
}

export function cancel() {
  control.abort();
  control = new AbortController();
  if (work.running) work.cancelled = true;
  work.running = false;
  work.asking.clear();
  keepProgress({ running: false, cancelled: work.cancelled });
  change();
}

export async function remove() {
  if (work.answers.size && !confirm(t("many_really", { name: work.table.name }))) return;
  cancel();
  openings += 1;
  await forget(); // what is seen to be gone does not come back with a reload
  Object.assign(work, { table: null, answers: new Map(), cancelled: false });
  change({ busy: "" });
}

export function retryFailed() {
  const rows = [...work.answers.keys()].filter(isFailed);
  rows.forEach((row) => work.answers.delete(row));
  forgetAnswers(rows);
  start();
}

/** Ask for every row that has no answer yet. */
export async function start() {
  if (work.running) return;
  const { signal } = control;
  const { done, failed } = counts();
  Object.assign(work, { running: true, cancelled: false, since: { ms: Date.now(), done: done + failed } });
  change({ problem: "" });
  await keepProgress({ running: true, settings: state.settings }); // a reload from here on goes on with it
  if (signal.aborted) return;
  try {
    for (let idle = 0; ; ) {
      const rows = work.table.rows.map((_, row) => row).filter(isOpen).slice(0, ROWS_AT_ONCE);
      if (!rows.length) break;
      const before = work.answers.size;
      const problem = await batch(rows, signal);
      if (problem) await patience(problem, signal);
      idle = work.answers.size > before ? 0 : idle + 1;
      // A server that takes the rows and gives no answer to any of them.
      if (idle > 1) await pause(PAUSE_MS * Math.min(idle, 10), signal);
    }
  } catch (problem) {
    if (problem.name !== "AbortError") change({ problem: problem.message });
  }
  if (signal.aborted) return;
  work.running = false;
  work.asking.clear();
  keepProgress({ running: false });
  change({ notice: t("many_done") });
}

/** Ask some rows; returns why the batch broke off, if it did and it may go on later. */
async function batch(rows, signal) {
  const fresh = [];
  rows.forEach((row) => work.asking.add(row));
  const take = ({ index, ...answer }) => {
    if (signal.aborted) return;
    if (index === null) throw new Problem("away", answer.error.detail, { retryAfterMs: answer.error.retry_after_ms });
    const row = rows[index];
    work.asking.delete(row);
    const kind = answer.error?.type?.split("/").at(-1);
    if (["busy", "away", "limited"].includes(kind)) return; // it stays open, and is asked again
    work.answers.set(row, slim(answer));
    fresh.push([row, work.answers.get(row)]);
    if (fresh.length >= 10) keepAnswers(fresh.splice(0));
    change();
  };
  try {
    await stream("v1/analyze/batch?order=finished", rows.map(questionOf), take, { signal });
    return null;
  } catch (problem) {
    if (problem.name === "AbortError" || !problem.passes) throw problem;
    return problem;
  } finally {
    // Not those of a table that was removed meanwhile.
    keepAnswers(fresh.filter(([row, answer]) => work.answers.get(row) === answer));
    rows.forEach((row) => work.asking.delete(row));
  }
}

async function patience(problem, signal) {
  if (problem.kind === "away") await back();
  await pause(Math.max(problem.retryAfterMs ?? 0, PAUSE_MS), signal);
}

function questionOf(row) {
  const { title, text, url } = work.table.rows[row];
  const summary = summarySettings(state.settings);
  return { ...(text ? { text } : { url }), ...(title && { title }), ...(summary && { summary }) };
}

const slim = (answer) => Object.fromEntries(Object.entries(answer).filter(([name]) => !NOT_KEPT.includes(name)));

const pick = (from, names) => from && Object.fromEntries(names.map((name) => [name, from[name]]));
const LABELLED = ["label", "signal", "doubt", "probability"];

/** What the columns of a file need of an answer: all of it, with the texts behind links, is more than a request may hold. */
const forColumns = ({ article, summary, category, veracity, readings = {}, failed, error }) => ({
  article: pick(article, ["title", "url"]),
  summary: pick(summary, ["text", "unsupported"]),
  category: pick(category, LABELLED),
  veracity: pick(veracity, LABELLED),
  readings: Object.fromEntries(Object.entries(readings).map(([task, one]) => [task, pick(one, ["tokens", "truncated_tokens"])])),
  failed,
  error,
});

/** Save what there is as a file: "csv", "xlsx" or "json". */
export async function download(format) {
  change({ busy: t("many_preparing") });
  try {
    const lines = work.table.rows.map((row, number) => {
      const found = forColumns(work.answers.get(number) ?? {});
      const error = row.error ? { error: row.error } : {};
      return JSON.stringify({ ...found, ...error, id: row.id ?? String(number + 1), title: row.title, url: row.url });
    });
    const options = { method: "POST", body: `${lines.join("\n")}\n`, type: "application/x-ndjson" };
    const response = await send(`v1/tables/write?format=${format}`, options);
    saveFile(`${work.table.name.replace(/\.\w+$/, "")}-info-lens.${format}`, await response.blob());
  } catch (problem) {
    change({ problem: problem.message });
  } finally {
    change({ busy: "" });
  }
}

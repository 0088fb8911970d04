/** One article: where it comes from, and the three questions about it, each answered for itself. */
import { Problem, ask, send, upload, whyTooLarge } from "./api.js";
import { back, pause } from "./server.js";
import { change, state } from "./state.js";
import { size, t, taskName } from "./words.js";

/** What each length of a summary means in tokens; medium is what the server and its model use. */
export const LENGTHS = { short: { min_length: 8, max_length: 44 }, medium: {}, long: { min_length: 112, max_length: 208 } };
const USUAL_TASKS = ["summary", "category", "veracity"];
const BUSY_MS = 1000;

let run = new AbortController();
let work = new AbortController();

/** The tasks that this server answers. */
export const tasks = () => state.models?.models.map((one) => one.task) ?? USUAL_TASKS;

/** The settings of the summary as a request has them; undefined for none. */
export function summarySettings({ length, exact }) {
  const typed = Object.entries(exact).map(([name, value]) => [name, Number.isNaN(Number(value)) ? value : Number(value)]);
  const given = { ...LENGTHS[length], ...Object.fromEntries(typed) };
  return Object.keys(given).length ? given : undefined;
}

/** Why this form cannot be asked; empty if it can. */
export function whyNot({ text, title }) {
  if (!text.trim()) return t("empty_text");
  const bytes = new TextEncoder().encode(text + title).length;
  const limit = state.models?.limits.max_article_bytes ?? 262_144;
  return bytes > limit ? t("too_long", { size: size(bytes), limit: size(limit) }) : "";
}

/** Ask everything about the article in the form. */
export function analyze() {
  splitHeadline();
  const problem = whyNot(state.form);
  if (problem) return change({ problem });
  const { title, text, url, meta } = state.form;
  const asked = { title: title.trim(), text, url, meta, evidence: state.settings.evidence };
  stop();
  change({ asked, answers: {}, editing: false, active: -1, shownEvidence: "", problem: "", shared: null, notice: "", consent: false });
  answer(tasks());
}

const TITLE_CHARS = 200;

/** A short first line, no sentence, that a blank line follows is the headline, where there is none: as the command has it. */
function splitHeadline() {
  const { title, text } = state.form;
  const found = /^\s*(\S[^\r\n]*)\r?\n[ \t]*\r?\n\s*(?=\S)/.exec(text);
  const first = found?.[1].trim() ?? "";
  if (title.trim() || !first || first.length > TITLE_CHARS || /\.["'\u201d\u2019)\]]*$/.test(first)) return;
  state.form = { ...state.form, title: first, text: text.slice(found[0].length) };
}

/** Ask for the summary anew, as its settings are now. */
export function summarizeAgain() {
  if (state.asked && tasks().includes("summary")) answer(["summary"]);
}

/**
 * Ask each of some tasks. A page that was loaded anew calls this for what it had not heard yet.
 *
 * @param audit whether the server may ask for the reader's own label before it gives its own
 */
export function answer(some, { audit = true } = {}) {
  if (run.signal.aborted) run = new AbortController();
  change({ shared: null, active: -1 });
  some.forEach((task) => one(task, run.signal, audit));
}

/** Stop asking, fetching and reading; what was answered stays. */
export function stop() {
  work.abort();
  run.abort();
  run = new AbortController();
  const kept = Object.entries(state.answers).filter(([, { status }]) => ["done", "failed", "audit"].includes(status));
  change({ answers: Object.fromEntries(kept) });
}

/** The document that asks for some tasks of the article. */
export function question(some) {
  const { title, text, evidence } = state.asked;
  const labelled = some.some((task) => task !== "summary");
  return {
    text,
    ...(title && { title }),
    tasks: some,
    ...(some.includes("summary") && { summary: summarySettings(state.settings) }),
    ...(evidence && labelled && { evidence: true }),
  };
}

/** An answer as the state has it. */
export function heard(task, { [task]: answer, readings, models, prediction }) {
  return { status: "done", answer, reading: readings[task], model: models[task], prediction: prediction ?? null };
}

const turns = {};

/** The same, for an answer that may be withheld at first: not one whose sentences the reader wants to see. */
const audited = (task) => Boolean(task !== "summary" && !state.asked.evidence && state.models?.feedback?.keeps);

async function one(task, signal, audit) {
  const turn = (turns[task] = (turns[task] ?? 0) + 1);
  // Of two questions about the same task the later one counts.
  const current = () => turns[task] === turn && !signal.aborted;
  const set = (entry) => current() && change({ answers: { ...state.answers, [task]: entry } });
  set({ status: "asking" });
  while (current()) {
    try {
      const found = await ask("v1/analyze", { ...question([task]), ...(audit && audited(task) && { audit: true }) }, { signal });
      const withheld = found.audit?.tasks[task];
      set(withheld ? { status: "audit", labels: withheld, prediction: found.prediction } : heard(task, found));
      if (current()) change({ notice: t(withheld ? "announce_audit" : "announce_done", { task: taskName(task) }) });
      return;
    } catch (problem) {
      if (!(problem instanceof Problem) || !problem.passes) {
        if (problem.name !== "AbortError") set({ status: "failed", problem: problem.message });
        return;
      }
      try {
        if (problem.kind === "away") {
          set({ status: "waiting", away: true });
          await back();
        } else {
          const waitMs = Math.max(problem.retryAfterMs ?? 0, BUSY_MS);
          set({ status: "waiting", untilMs: Date.now() + waitMs });
          await pause(waitMs, signal);
        }
      } catch {
        return;
      }
      set({ status: "asking" });
    }
  }
}

/** Do something that takes a while and fills the form. */
async function filling(words, get) {
  work.abort();
  const mine = (work = new AbortController());
  change({ busy: words, problem: "" });
  try {
    const { title, text, url, ...meta } = await get(mine.signal);
    change({ form: { url: url ?? "", title: title ?? "", text, meta }, editing: true, asked: null, answers: {}, shared: null });
  } catch (problem) {
    if (problem.name !== "AbortError") change({ problem: problem.message });
  } finally {
    if (work === mine) change({ busy: "" });
  }
}

export const cancelFilling = () => work.abort();

/** Have the server fetch the article behind a link. */
export function fetchLink(url) {
  // People paste addresses without their scheme.
  const whole = /^[a-z][a-z0-9+.-]*:/i.test(url) ? url : `https://${url}`;
  stop();
  return filling(t("link_fetching"), (signal) => ask("v1/extract", { url: whole }, { signal }));
}

/** Have the server read a file. Plain text too: it knows more encodings than the browser tells. */
export function openFile(file) {
  const problem = whyTooLarge(file);
  if (problem) return change({ problem });
  stop();
  return filling(t("reading_file", { name: file.name }), (signal) => upload("v1/extract", file, { signal }));
}

/** Have the server keep the answers under a link. */
export async function share() {
  const mine = { status: "asking" };
  // Another article, or another summary, takes it away.
  const current = () => state.shared === mine;
  change({ shared: mine });
  try {
    const found = await ask("v1/analyze", { ...question(tasks()), keep: true });
    if (!found.report) throw new Problem("failed", found.report_problem ?? t("share_off"));
    if (current()) change({ shared: { status: "done", ...found.report } });
    else await send(`v1/reports/${found.report.id}`, { method: "DELETE" });
  } catch (problem) {
    if (current()) change({ shared: { status: "failed", problem: problem.message } });
  }
}

/**
 * What the page knows, in one object, and what of it outlives a reload.
 *
 * Views read `state` and draw it; everything else changes it through `change`, which draws anew and saves.
 */

const ARTICLE = "infolens.article";
const KEY = "infolens.key";
const SAVE_MS = 100;
/** Answers that are not asked for again after a reload. */
const KEPT = ["done", "audit"];

/** An article as it stands in the form. */
const blank = () => ({ url: "", title: "", text: "", meta: null });

export const state = {
  /** `/v1/models`, once it was read. */
  models: null,
  /** Whether the server can be reached: null until that is known. */
  reachable: null,
  /** Why some models do not answer; empty while all do. */
  partly: "",
  /** The clock time in ms of the next try, while the server is away. */
  nextTryMs: 0,
  wantsKey: false,
  key: "",
  view: "article",
  notice: "",
  /** Something that went wrong, in the server's words. */
  problem: "",
  busy: "",
  dropping: false,
  form: blank(),
  editing: true,
  settings: { length: "medium", exact: {}, evidence: false },
  /** What was asked, as the answers mean it; null before. */
  asked: null,
  /**
   * By task: {status: "asking" | "waiting" | "done" | "failed", answer, reading, model, prediction, problem, untilMs}, or
   * {status: "audit", labels, prediction}, an answer that is withheld until the reader has said what he thinks himself.
   */
  answers: {},
  /** Which sentence of the article is looked at: its index among the summary's quotes, or -1. */
  active: -1,
  unreadFor: "summary",
  /** The task whose evidence is marked in the article; empty for none. */
  shownEvidence: "",
  shared: null,
  report: null,
  copied: false,
  /** What was said of answers in this tab, by prediction and task: {stars, better, right, label, note, token, status}. */
  said: {},
  /** Whether this article and what is said of it may train models. */
  consent: false,
  /** Ratings on their way to the server: how many wait, whether they wait for long, and those that it refused. */
  outbox: { waiting: 0, late: false, refused: [] },
};

let draw = () => {};
let drawing = false;
let saving = null;
/** A page that holds no article must not save an empty one over the reader's. */
let holds = false;

/** Name what draws the page. */
export function drawnBy(callback) {
  draw = callback;
}

/** Change the state, and draw what came of it once this piece of work is over; soon after, it is saved. */
export function change(changes = {}) {
  Object.assign(state, changes);
  if (!drawing) {
    drawing = true;
    queueMicrotask(() => {
      drawing = false;
      draw();
    });
  }
  if (holds) saving ??= setTimeout(save, SAVE_MS);
}

export function clearArticle() {
  change({ form: blank(), editing: true, asked: null, answers: {}, active: -1, shared: null, problem: "", copied: false, consent: false });
}

let saved = "";
// A page that is left at once has saved what it knew.
addEventListener("pagehide", () => holds && save());

function save() {
  clearTimeout(saving);
  saving = null;
  const { form, editing, settings, asked, answers, unreadFor, shared, said, consent } = state;
  const done = Object.entries(answers).filter(([, one]) => KEPT.includes(one.status));
  const kept = { form, editing, settings, asked, answers: Object.fromEntries(done), unreadFor, said, consent };
  // A reload ends this question, and nobody would hear the answer.
  kept.shared = shared?.status === "asking" ? null : shared;
  kept.open = Object.keys(answers).filter((task) => ![...KEPT, "failed"].includes(answers[task].status));
  const text = JSON.stringify(kept);
  if (text === saved) return;
  saved = text;
  try {
    sessionStorage.setItem(ARTICLE, text);
  } catch {
    // A browser without room, or one that keeps nothing: the page works, and forgets.
  }
}

/** Take up the key of this tab alone. */
export function restoreKey() {
  try {
    state.key = sessionStorage.getItem(KEY) ?? "";
  } catch {
    // A browser that keeps nothing asks for it again.
  }
}

/** Take up what a reload interrupted; returns the tasks that were not answered yet. */
export function restore() {
  holds = true;
  restoreKey();
  try {
    const { open = [], ...kept } = JSON.parse(sessionStorage.getItem(ARTICLE) ?? "{}");
    Object.assign(state, kept);
    return open;
  } catch {
    return [];
  }
}

/** Keep the caller's key for this tab; empty forgets it. */
export function keepKey(given) {
  // What no key has, such as a blank without width, comes with pasting; a browser sends no such header.
  const key = given.replace(/[^!-~]/g, "");
  change({ key, wantsKey: false });
  try {
    if (key) sessionStorage.setItem(KEY, key);
    else sessionStorage.removeItem(KEY);
  } catch {
    // As above.
  }
}

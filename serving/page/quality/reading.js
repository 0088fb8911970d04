/** The figures as the server last told them, and when; they are read again every minute. */
import { read } from "../api.js";
import { change } from "../state.js";

/** How many days back one may look. */
export const DAYS = [7, 30, 90, 365];
const USUAL_DAYS = 30;
const FRESH_MS = 60_000;
const RETRY_MS = 10_000;

export const known = {
  days: USUAL_DAYS,
  /** `GET /v1/quality`; null before the first one. */
  document: null,
  /** The clock time in ms at which it came. */
  cameMs: 0,
  /** Why the newest try failed: a `Problem`; null where it did not. */
  problem: null,
  reading: false,
  /** By task: the model that the reader chose, as `idOf` names it. */
  chosen: {},
};

let timer = null;
let asked = 0;

/** What tells one model of a task from another. */
export const idOf = ({ model, revision }) => `${model} ${revision}`;

/** The age of the figures in seconds; what the server kept while its store was away is older than its answer. */
export const ageOf = () => (known.document?.stale_s ?? 0) + (Date.now() - known.cameMs) / 1000;

/** Take the days from the address. */
export function follow() {
  const days = Number(new URLSearchParams(location.search).get("days"));
  known.days = DAYS.includes(days) ? days : USUAL_DAYS;
  change();
}

/** Look at another number of days; the address says so. */
export function lookBack(days) {
  history.pushState(null, "", `?days=${days}`);
  follow();
  refresh();
}

/** Show another model of a task. */
export function choose(task, id) {
  known.chosen[task] = id;
  change();
}

/** Read the figures; those of an earlier question never take the place of a later one's. */
export async function refresh() {
  const number = (asked += 1);
  known.reading = true;
  change();
  let problem = null;
  try {
    const document = await read(`v1/quality?days=${known.days}`);
    if (number !== asked) return;
    Object.assign(known, { document, cameMs: Date.now() });
  } catch (error) {
    if (number !== asked) return;
    if (!error.kind) throw error;
    problem = error;
  }
  Object.assign(known, { problem, reading: false });
  change();
  plan(problem?.passes ? Math.max(RETRY_MS, problem.retryAfterMs ?? 0) : FRESH_MS);
}

function plan(pauseMs) {
  clearTimeout(timer);
  timer = setTimeout(() => (document.hidden ? plan(pauseMs) : refresh()), pauseMs);
}

/** Read them now, every minute, and at once when the reader comes back to this tab after that. */
export function watchFigures() {
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && !known.reading && Date.now() - known.cameMs > FRESH_MS) refresh();
  });
  addEventListener("online", refresh);
  refresh();
}

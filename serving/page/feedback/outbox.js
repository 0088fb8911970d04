/**
 * The outbox: what is said of answers reaches the server once, whatever happens on the way.
 *
 * An entry is kept in this browser before it is sent, and until the server has acknowledged it. Every try carries the same
 * idempotency key, by which the server counts it once; of several tabs one sends at a time. While the server is away entries
 * wait, over reloads too; what it refuses for good is shown with its reason.
 */
import { Problem, send } from "../api.js";
import { back } from "../server.js";
import { change, state } from "../state.js";
import { t } from "../words.js";
import { owner } from "./ids.js";
import { SCOPE, edit, entries } from "./store.js";

const FIRST_PAUSE_MS = 1000;
const LAST_PAUSE_MS = 60_000;
const PATIENCE_MS = 20_000;
const DAY_MS = 24 * 3600 * 1000;
/** The server forgets answers in time: what waited for so long is not sent any more. */
const KEPT_MS = 30 * DAY_MS;
const SHOWN_MS = 7 * DAY_MS;
/** Answers to which another try may get another: not now, not yet, or not with this key. */
const PASSING = [0, 401, 408, 425, 429];
const FAULTS = 8;

const channel = new BroadcastChannel(SCOPE);
const hearers = new Set();
let working = false;
let again = false;
let wake = () => {};

/** Hear what becomes of entries: `{token, status: "kept" | "refused", problem}`, of other tabs' too; true: it is shown. */
export const hear = (hearer) => hearers.add(hearer);

/** By token why an entry was refused, or "" while it waits; what the server has taken is not among them. */
export const standing = async () => new Map((await entries()).map(({ token, refused }) => [token, refused]));

/**
 * Send something, as soon as that is possible.
 *
 * @param {object} entry `method`, `path`, `document` or none, `token`, `prediction`, `task` ("" for all that was said of it),
 *   and `holdMs`, for which it may be replaced: entries of the same answer that nobody has tried to send yet make way
 */
export async function post({ holdMs = 0, ...entry }) {
  const now = Date.now();
  const replaced = (one) =>
    one.prediction === entry.prediction && !one.claimed && !one.refused && (!entry.task || one.task === entry.task);
  await edit((all) => [
    ...all.filter((one) => !replaced(one)),
    { ...entry, by: owner(state.key), madeMs: now, dueMs: now + holdMs, claimed: false, missed: 0, refused: "" },
  ]);
  await spread();
  stir();
}

/** Show how things stand, here and in other tabs. */
async function spread(result = null) {
  channel.postMessage(result);
  const shown = result ? told(result) : false;
  await refresh();
  return shown;
}

const told = (result) => [...hearers].map((hearer) => hearer(result)).some(Boolean);

const mine = ({ by }) => by === "" || by === owner(state.key);

async function refresh() {
  const found = (await entries()).filter(mine);
  const waiting = found.filter((one) => !one.refused);
  const words = ({ method, refused: detail }) => t(method === "DELETE" ? "forget_refused" : "rating_refused", { detail });
  const refused = found.filter((one) => one.refused).map((one) => ({ words: words(one), dismiss: () => dismiss(one.number) }));
  change({ outbox: { waiting: waiting.length, late: waiting.some((one) => one.missed), refused } });
}

async function dismiss(number) {
  await edit((all) => all.filter((one) => one.number !== number));
  await spread();
}

/** Begin to send, or go on at once where a pause was being made. */
export function stir() {
  again = true;
  wake();
  if (!working) work();
}

async function work() {
  working = true;
  try {
    while (again) {
      again = false;
      // The lock is held while something is sent, not while something is waited for: the next tab may have more luck.
      const patience = await locked(deliver);
      if (!patience) continue;
      await patience();
      again = true;
    }
  } finally {
    working = false;
  }
}

/** One tab at a time. Without https browsers have no locks: then two may send the same, which the server counts once. */
const locked = (task) => (navigator.locks ? navigator.locks.request(SCOPE, task) : task());

const pause = (ms) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    wake = () => {
      clearTimeout(timer);
      resolve();
    };
  });

/** Send what is due; returns what to wait for before the next try, or null when nothing is left. */
async function deliver() {
  for (;;) {
    await clear();
    const entry = await claim();
    if (!entry) {
      const held = (await entries()).filter((one) => mine(one) && !one.refused);
      return held.length ? () => pause(Math.max(0, Math.min(...held.map((one) => one.dueMs)) - Date.now())) : null;
    }
    try {
      await deliverOne(entry);
      await settle(entry, "");
    } catch (problem) {
      if (gone(entry, problem)) await settle(entry, "");
      else if (passes(entry, problem)) return await postponed(entry, problem);
      else await settle(entry, problem.message);
    }
  }
}

async function deliverOne({ method, path, document, token }) {
  const body = document && JSON.stringify(document);
  const signal = AbortSignal.timeout(PATIENCE_MS);
  try {
    const response = await send(path, { method, body, type: body && "application/json", token, signal });
    const { prediction, id } = await response.json();
    if (prediction || id) return;
  } catch (problem) {
    if (problem instanceof Problem) throw problem;
  }
  // The page of a hotel's network, or an answer that broke off.
  throw new Problem("away", t("problem_away"));
}

/** Whoever leaves the page has made up his mind. */
const isDue = ({ dueMs }) => dueMs <= Date.now() || document.hidden;

/** The next entry that is due, marked as one that the server may have. */
async function claim() {
  let claimed = null;
  await edit((all) => {
    claimed = all.find((one) => mine(one) && !one.refused && isDue(one)) ?? null;
    return all.map((one) => (one === claimed ? { ...one, claimed: true } : one));
  });
  return claimed;
}

/** Whether an order to forget came to nothing because there was nothing left. */
const gone = ({ method }, { status }) => method === "DELETE" && [404, 410].includes(status);

function passes({ missed }, { status }) {
  return PASSING.includes(status) || [502, 503, 504].includes(status) || (status >= 500 && missed < FAULTS);
}

async function postponed(entry, problem) {
  await edit((all) => all.map((one) => (one.number === entry.number ? { ...one, missed: one.missed + 1 } : one)));
  await spread();
  const pauseMs = Math.max(Math.min(FIRST_PAUSE_MS * 2 ** entry.missed, LAST_PAUSE_MS), problem.retryAfterMs ?? 0);
  if (problem.status !== 0) return () => pause(pauseMs);
  return async () => {
    await back();
    // A server that is back and does not let this through.
    if (entry.missed) await pause(pauseMs);
  };
}

/** An entry is done with: the server has it, or will never take it. */
async function settle(entry, problem) {
  const rest = (one) => (one.number !== entry.number ? [one] : problem ? [{ ...one, refused: problem, document: null }] : []);
  await edit((all) => all.flatMap(rest));
  const shown = await spread({ token: entry.token, status: problem ? "refused" : "kept", problem });
  if (shown && problem) await dismiss(entry.number);
}

async function clear() {
  const now = Date.now();
  const old = (await entries()).filter((one) => !one.refused && now - one.madeMs > KEPT_MS);
  for (const entry of old) await settle(entry, t("rating_too_old"));
  const read = (one) => one.refused && now - one.madeMs > KEPT_MS + SHOWN_MS;
  if ((await entries()).some(read)) await edit((all) => all.filter((one) => !read(one)));
}

channel.onmessage = ({ data }) => {
  if (data) told(data);
  refresh();
};
addEventListener("infolens-key", () => refresh().then(stir));
addEventListener("online", stir);
// Another tab may have been closed before it had sent everything, or this one is about to be.
document.addEventListener("visibilitychange", stir);
setInterval(() => working || stir(), LAST_PAUSE_MS);
refresh().then(stir);

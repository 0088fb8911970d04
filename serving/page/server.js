/** Whether the server is there, what it serves, and waiting for it while it is away. */
import { read } from "./api.js";
import { change, state } from "./state.js";
import { t } from "./words.js";

const LOOK_EVERY_MS = 30_000;
const SOONEST_MS = 1000;
const LATEST_MS = 15_000;

let waiting = null;
let wake = () => {};
let paused = SOONEST_MS;

/** Ask once how the server is. */
async function look() {
  let ready;
  try {
    const response = await fetch(new URL("readyz", document.baseURI), { cache: "no-store" });
    ready = await response.json();
    if (typeof ready.ready !== "boolean") throw new Error("not the server");
  } catch {
    change({ reachable: false });
    return false;
  }
  const answers = Object.values(ready.models ?? {}).some((one) => one.ready);
  change({ reachable: ready.ready || answers, partly: ready.ready ? "" : ready.reason });
  return state.reachable;
}

/** Read what the server serves, as often as it takes; without it the page works with its own words. */
export async function learn() {
  try {
    change({ models: await read("v1/models"), reachable: true });
  } catch (problem) {
    if (problem.kind === "away") await back();
    else return;
    await learn();
  }
}

/** Wait until the server answers again. Everybody who waits waits for the same. */
export function back() {
  waiting ??= (async () => {
    change({ reachable: false });
    paused = SOONEST_MS;
    // First a pause: what cannot be reached may be one address of a server that says that it is well.
    do {
      change({ nextTryMs: Date.now() + paused });
      await new Promise((resolve) => {
        wake = resolve;
        setTimeout(resolve, paused);
      });
      change({ nextTryMs: 0 });
      paused = Math.min(2 * paused, LATEST_MS);
    } while (!(await look()));
    waiting = null;
    change({ notice: t("back_again") });
  })();
  return waiting;
}

/** Try now, and not when the pause is over. */
export const tryNow = () => wake();

/** Look from time to time, so that the mark of the server is true. */
export function watch() {
  window.addEventListener("online", () => wake());
  const again = async () => {
    if (!waiting && !document.hidden && !(await look())) back();
    setTimeout(again, LOOK_EVERY_MS);
  };
  again();
}

/** Wait, or stop waiting when `signal` says so. */
export function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const end = () => {
      clearTimeout(timer);
      reject(new DOMException("cancelled", "AbortError"));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", end);
      resolve();
    }, ms);
    if (signal?.aborted) end();
    else signal?.addEventListener("abort", end, { once: true });
  });
}

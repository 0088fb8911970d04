/** A blind audit: for some articles the reader says what he thinks before the answer is shown, so that it does not lead him. */
import { Problem, ask } from "../api.js";
import { answer, heard } from "../article.js";
import { back, pause } from "../server.js";
import { change, state } from "../state.js";
import { t, taskName } from "../words.js";
import { makeToken, rater } from "./ids.js";

const BUSY_MS = 1000;

const put = (task, entry) => change({ answers: { ...state.answers, [task]: entry } });

/** Say a label, or nothing (""), and get the answer. */
export function say(task, label) {
  put(task, { ...state.answers[task], label, token: makeToken() });
  return tell(task);
}

/** Send what was said, with the same key as often as it takes. */
async function tell(task) {
  const { prediction, label, token } = state.answers[task];
  const current = () => state.answers[task]?.token === token && state.answers[task].status === "audit";
  const document = { labels: label ? { [task]: label } : {}, rater: rater(), ...(state.consent && { consent: true }) };
  while (current()) {
    try {
      const found = await ask(`v1/predictions/${prediction}/audit`, document, { token });
      if (!current()) return;
      put(task, { ...heard(task, { ...found, prediction }), own: label });
      change({ notice: t("announce_done", { task: taskName(task) }) });
      return;
    } catch (problem) {
      if (!current()) return;
      if (!(problem instanceof Problem) || !passes(problem)) return void answer([task], { audit: false });
      put(task, { ...state.answers[task], late: true });
      if (problem.status === 0) await back();
      else await pause(Math.max(problem.retryAfterMs ?? 0, BUSY_MS));
    }
  }
}

const passes = (problem) => problem.passes || problem.status === 503;

// What a reload interrupted.
Object.keys(state.answers).filter((task) => state.answers[task].status === "audit" && state.answers[task].token).forEach(tell);

/** What the reader says of answers: sent at once, and as often as he changes his mind. */
import { change, state } from "../state.js";
import { t } from "../words.js";
import { makeToken, rater } from "./ids.js";
import { hear, post, standing } from "./outbox.js";

/** Who goes from star to star with the keyboard has said one thing when he stops. */
const HOLD_MS = 800;
const MOST_SAID = 200;

/** What was said of an answer: {} if nothing was. */
export const saidOf = (task, { prediction }) => state.said[prediction]?.[task] ?? {};

/** Whether something was said that counts. */
export const isRated = ({ stars, right, label }) => stars !== undefined || right !== undefined || label !== undefined;

function put(prediction, task, changes) {
  const before = state.said[prediction] ?? {};
  const said = { ...state.said, [prediction]: { ...before, [task]: { ...before[task], ...changes } } };
  change({ said: Object.fromEntries(Object.entries(said).slice(-MOST_SAID)) });
}

/** Keep words that are being written. */
export const draft = (task, { prediction }, changes) => put(prediction, task, changes);

/** Say something of an answer, or something else than before. */
export function rate(task, entry, changes) {
  const { prediction } = entry;
  const token = makeToken();
  put(prediction, task, { ...changes, token, status: "waiting", problem: "" });
  const said = saidOf(task, entry);
  const document = {
    prediction,
    rater: rater(),
    ...(said.note && { note: said.note }),
    ...(state.consent && { consent: true }),
    ratings: { [task]: ratingOf(said) },
  };
  return post({ method: "POST", path: "v1/feedback", document, token, prediction, task, holdMs: HOLD_MS });
}

function ratingOf({ stars, better, right, label }) {
  const given = { stars, better: better || undefined, right, label };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

/** Allow that this article trains models, or take that back: what was said of it already is said anew. */
export function allow(consent) {
  change({ consent });
  const rated = Object.entries(state.answers).filter(([task, entry]) => isRated(saidOf(task, entry)));
  rated.forEach(([task, entry]) => rate(task, entry, {}));
}

/** Have the server forget an answer, and all that was said of it. */
export function forget({ prediction }) {
  if (!confirm(t("forget_really"))) return;
  const token = makeToken();
  change({ said: { ...state.said, [prediction]: { forgotten: { token, status: "waiting" } } } });
  post({ method: "DELETE", path: `v1/predictions/${prediction}`, token, prediction, task: "" });
}

/** What was said in this tab and fits. */
const saidWhere = (fits) =>
  Object.entries(state.said).flatMap(([prediction, tasks]) =>
    Object.entries(tasks).filter(([, said]) => fits(said)).map(([task, { token }]) => ({ prediction, task, token })),
  );

hear(({ token, status, problem }) => {
  const [found] = saidWhere((said) => said.token === token);
  if (!found) return false;
  put(found.prediction, found.task, { status, problem });
  const words = found.task === "forgotten" ? "forgotten" : "rating_kept";
  change({ notice: problem ? t("rating_refused", { detail: problem }) : t(words) });
  return state.view === "article" && Object.values(state.answers).some((one) => one.prediction === found.prediction);
});

// Another tab may have sent it, or heard that it is refused, while this one was loaded anew.
const open = saidWhere(({ status }) => status === "waiting");
standing().then((refusals) => {
  for (const { prediction, task, token } of open) {
    const problem = refusals.get(token);
    if (problem !== "" && state.said[prediction]?.[task]?.token === token) put(prediction, task, problem ? { status: "refused", problem } : { status: "kept" });
  }
});

/** The three answers, each as soon as it is there. */
import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { answer as askAgain, tasks } from "../article.js";
import { change, state } from "../state.js";
import { has, t, taskName } from "../words.js";
import { labelled } from "./labelled.js";
import { lengthControl } from "./settings.js";
import { summary } from "./summary.js";

export function answers() {
  return html`${tasks().map(card)}`;
}

function card(task) {
  const entry = state.answers[task];
  const body = state.asked && entry ? STATES[entry.status](task, entry) : empty(task);
  const control = task === "summary" && state.asked && !state.editing ? lengthControl("length-again") : nothing;
  const busy = ["asking", "waiting"].includes(entry?.status);
  return html`<article class="card ${task}" aria-busy=${String(busy)}>
    <div class="row between"><h2>${taskName(task)}</h2>${control}</div>
    ${body} ${entry?.status === "done" ? html`${model(task)} ${entry.prediction ? feedback("rating", task, entry) : nothing}` : nothing}
  </article>`;
}

let parts = null;

/** What is asked of the reader; loaded once a server has it. */
function feedback(name, ...given) {
  if (parts) return parts[name](...given);
  import("./feedback/cards.js").then((found) => {
    parts = found;
    change();
  });
  return nothing;
}

/** Which model answered, so that two answers can be told apart. */
function model(task) {
  const served = state.models?.models.find((one) => one.task === task);
  if (!served) return nothing;
  const { registered_model: name, registered_version: registered } = served.lineage ?? {};
  return html`<p class="hint">${t(registered ? "model_registered" : "model_named", { ...served, name, registered })}</p>`;
}

const empty = (task) => (has(`${task}_empty`) ? html`<p class="hint">${t(`${task}_empty`)}</p>` : nothing);

const STATES = {
  asking: () => html`<p class="busy"><span class="spinner" aria-hidden="true"></span>${t("asking")}</p>`,
  waiting: (_, { away, untilMs }) => {
    const count = Math.max(1, Math.ceil((untilMs - Date.now()) / 1000));
    return html`<p class="busy"><span class="spinner" aria-hidden="true"></span>
      ${away ? t("waiting_away") : t("waiting_busy", { count })}</p>`;
  },
  failed: (task, { problem }) => html`<p class="bad" dir="auto">${t("failed_task", { detail: problem })}</p>
    <button type="button" @click=${() => askAgain([task])}>${t("again")}</button>`,
  audit: (task, entry) => feedback("audit", task, entry),
  done: (task, entry) => (task === "summary" ? summary(entry.answer) : html`${entry.own ? feedback("compared", entry) : nothing}${labelled(task, entry)}`),
};

/** The page of the quality: how it stands, a card for each task, and what there is to know of each below. */
import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { repeat } from "../vendor/lit-html/directives/repeat.js";
import { saveFile } from "../api.js";
import { state } from "../state.js";
import { duration, moment, t } from "../words.js";
import { card } from "./card.js";
import { details } from "./details.js";
import { DAYS, ageOf, known, lookBack, refresh } from "./reading.js";

export function view() {
  return html`${banner()}<div class="quality">
    <div class="row between head"><h1>${t("quality_title")}</h1>${chooser()}</div>
    <p class="lead">${t("quality_lead")}</p>
    ${body()} ${foot()}
  </div>`;
}

function chooser() {
  return html`<fieldset class="segments">
    <legend>${t("quality_days")}</legend>
    ${DAYS.map(
      (days) => html`<label><input type="radio" name="days" value=${days} .checked=${known.days === days} @change=${() => lookBack(days)}>
        <span>${days === 365 ? t("quality_year") : t("quality_last_days", { count: days })}</span></label>`,
    )}
  </fieldset>`;
}

function body() {
  const found = known.document;
  if (off() && !found?.models.length) return empty(t("quality_off", { reason: state.models.feedback.why_not }));
  if (!found) return known.problem ? nothing : html`<p class="busy" role="status"><span class="spinner" aria-hidden="true"></span>${t("quality_loading")}</p>`;
  if (!found.models.length) return empty(t("quality_empty", { count: found.days }));
  const tasks = [...Map.groupBy(found.models, (one) => one.task)];
  return html`
    <p class="bias">${found.bias}</p>
    <div class="cards">${repeat(tasks, ([task]) => task, ([task, models]) => card(task, models))}</div>
    <p class="hint reading">${t("quality_reading")}</p>
    ${repeat(tasks, ([task]) => task, ([task, models]) => details(task, models))}`;
}

const off = () => state.models?.feedback?.keeps === false;

const empty = (words) => html`<section class="paper prose empty"><p>${words}</p><p class="hint">${t("quality_how")}</p></section>`;

/** What is said first: figures that are old, or a reason why there are none. */
function banner() {
  const { document: found, problem } = known;
  const again = html`<button type="button" @click=${refresh}>${t("try_now")}</button>`;
  if (problem && problem.kind !== "unauthenticated" && !off()) {
    const old = found ? t("quality_old", { time: moment(found.made), age: duration(ageOf()) }) : "";
    return html`<div class="notice ${found ? "warn" : "bad"}" role="alert"><p dir="auto">${problem.message} ${old}</p>${again}</div>`;
  }
  if (found?.stale_s) {
    return html`<div class="notice warn" role="alert"><p>${t("quality_stale", { time: moment(found.made), age: duration(ageOf()) })}</p>${again}</div>`;
  }
  return nothing;
}

/** A link has no key: with one, what was read is saved as a file. */
function save(event) {
  if (!state.key || !known.document) return;
  event.preventDefault();
  saveFile("quality.json", new Blob([JSON.stringify(known.document, null, 2)], { type: "application/json" }));
}

function foot() {
  const made = known.document ? t("quality_as_of", { time: moment(known.document.made), count: known.document.days }) : "";
  return html`<p class="hint">${made} ${t("quality_foot")}
    ${known.document ? html`<a class="on-screen" href="v1/quality?days=${known.days}" @click=${save}>${t("quality_json")}</a>` : nothing}</p>`;
}

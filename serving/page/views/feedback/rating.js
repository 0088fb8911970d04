/** How good an answer is: stars for a text, right or wrong for a label; and what becomes of it. */
import { html, nothing } from "../../vendor/lit-html/lit-html.js";
import { live } from "../../vendor/lit-html/directives/live.js";
import { draft, forget, isRated, rate, saidOf } from "../../feedback/rating.js";
import { state } from "../../state.js";
import { has, labelName, t } from "../../words.js";
import { consent } from "./consent.js";

const STARS = [1, 2, 3, 4, 5];
const STAR = "M10 1.6l2.6 5.3 5.8.8-4.2 4.1 1 5.8-5.2-2.7-5.2 2.7 1-5.8L1.6 7.7l5.8-.8z";

export function rating(task, entry) {
  const said = saidOf(task, entry);
  const gone = state.said[entry.prediction]?.forgotten;
  if (gone) return html`<div class="rating"><p class="hint">${t(FORGOTTEN[gone.status], { detail: gone.problem })}</p></div>`;
  // What was said before the answer was seen counts as it is.
  const asks = entry.own ? nothing : task === "summary" ? stars(task, entry, said) : rightness(task, entry, said);
  return html`<div class="rating" tabindex="-1">
    <div class="row between">${asks} ${menu(entry)}</div>
    ${asks !== nothing && said.right === false ? rightLabel(task, entry, said) : nothing}
    ${isRated(said) ? html`${standing(said)} ${consent()} ${more(task, entry, said)}` : nothing}
  </div>`;
}

const FORGOTTEN = { waiting: "forget_waits", kept: "forgotten", refused: "forget_refused" };

function stars(task, entry, said) {
  return html`<fieldset class="stars">
    <legend>${t("rate_summary")}</legend>
    <div>${STARS.map(
      (count) => html`<label title=${t(`stars_${count}`)}><input type="radio" name="stars-${task}" value=${count}
        .checked=${live(said.stars === count)} @change=${() => rate(task, entry, { stars: count })}><svg viewBox="0 0 20 20" aria-hidden="true"><path
        d=${STAR}></path></svg><span class="hidden">${t("stars", { count })}: ${t(`stars_${count}`)}</span></label>`,
    )}</div>
    ${said.stars ? html`<span class="meaning" aria-hidden="true">${t(`stars_${said.stars}`)}</span>` : nothing}
  </fieldset>`;
}

/** A label is right or wrong; where none was shown the reader may say his own. */
function rightness(task, entry, said) {
  const { label, signal } = entry.answer;
  if (signal !== "" && signal !== label) return labels(task, entry, said, t("rate_unsure"), (own) => ({ right: undefined, label: own }));
  const choice = (right, words) => html`<label><input type="radio" name="right-${task}" .checked=${live(said.right === right)}
    @change=${() => rate(task, entry, { right, label: undefined })}><span>${t(words)}</span></label>`;
  const name = `rate_${task}`;
  return html`<fieldset class="segments">
    <legend>${t(has(name) ? name : "rate_label")}</legend>${choice(true, "right")}${choice(false, "wrong")}
  </fieldset>`;
}

const rightLabel = (task, entry, said) => labels(task, entry, said, t("rate_which"), (label) => ({ right: false, label }), entry.answer.label);

function labels(task, entry, said, legend, changes, but = "") {
  const known = state.models?.models.find((one) => one.task === task)?.labels ?? Object.keys(entry.answer.probabilities);
  return html`<fieldset class="choices">
    <legend>${legend}</legend>
    ${known.filter((label) => label !== but).map(
      (label) => html`<label><input type="radio" name="label-${task}" .checked=${live(said.label === label)}
        @change=${() => rate(task, entry, changes(label))}><span>${labelName(label)}</span></label>`,
    )}
  </fieldset>`;
}

function standing({ status, problem }) {
  if (status === "refused") return html`<p class="bad" dir="auto">${t("rating_refused", { detail: problem })}</p>`;
  if (status === "kept") return html`<p class="thanks">${t("rating_kept")} <span class="hint">${t("rating_change")}</span></p>`;
  return html`<p class="hint">${t(state.outbox.late || state.reachable === false ? "rating_waits" : "rating_sending")}</p>`;
}

/** Words of the reader's own. */
function more(task, entry, said) {
  const summary = task === "summary";
  const { better = said.better ?? entry.answer.text, note = said.note ?? "" } = said.draft ?? {};
  const write = (name) => (event) => draft(task, entry, { draft: { ...said.draft, [name]: event.target.value } });
  const submit = (event) => {
    event.preventDefault();
    const [written, said] = [better, note].map((one) => (one ?? "").trim().toWellFormed());
    const changed = summary && written && written !== entry.answer.text.trim();
    rate(task, entry, { better: changed ? written : undefined, note: said || undefined, draft: undefined });
    event.target.closest("details").open = false;
  };
  return html`<details class="more">
    <summary>${t(summary ? "better_title" : "note_title")}</summary>
    <form @submit=${submit}>
      ${summary
        ? html`<label>${t("better_label")}<textarea rows="5" maxlength="4000" dir="auto" lang="en" .value=${live(better)} @input=${write("better")}></textarea></label>`
        : nothing}
      <label>${t("note_label")}<textarea class="note" rows="2" maxlength="2000" dir="auto" .value=${live(note)} @input=${write("note")}></textarea></label>
      <div class="row"><button>${t("rating_send")}</button><span class="hint">${t("note_hint")}</span></div>
    </form>
  </details>`;
}

function menu(entry) {
  const { days = 0, texts } = state.models?.feedback ?? {};
  const leave = (event) => event.currentTarget.contains(event.relatedTarget) || (event.currentTarget.open = false);
  const keys = (event) => {
    if (event.key !== "Escape") return;
    event.currentTarget.open = false;
    event.currentTarget.firstElementChild.focus();
  };
  return html`<details class="menu" @focusout=${leave} @keydown=${keys}>
    <summary aria-label=${t("menu")} title=${t("menu")}><span aria-hidden="true">⋯</span></summary>
    <div tabindex="-1">
      <p class="hint">${t("answer_kept", { count: days, what: t(texts ? "kept_with_text" : "kept_without_text") })}</p>
      <button type="button" @click=${() => forget(entry)}>${t("forget")}</button>
    </div>
  </details>`;
}

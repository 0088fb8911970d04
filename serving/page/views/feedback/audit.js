/** A blind audit: the labels to choose from, and afterwards both answers side by side. */
import { html, nothing } from "../../vendor/lit-html/lit-html.js";
import { say } from "../../feedback/audit.js";
import { has, labelName, t } from "../../words.js";
import { consent } from "./consent.js";

export function audit(task, { labels, token, late }) {
  if (token) {
    return html`<p class="busy"><span class="spinner" aria-hidden="true"></span>${t(late ? "audit_waits" : "asking")}</p>`;
  }
  const name = `audit_question_${task}`;
  return html`<div class="audit" role="group" aria-labelledby="audit-${task}">
    <p id="audit-${task}" class="question">${t(has(name) ? name : "audit_question")}</p>
    <div class="choices">${labels.map(
      (label) => html`<button type="button" @click=${(event) => choose(event, task, label)}>${labelName(label)}</button>`,
    )}</div>
    <button type="button" class="plain" @click=${(event) => choose(event, task, "")}>${t("audit_pass")}</button>
    ${consent()}
    <p class="hint">${t("audit_why")}</p>
  </div>`;
}

/** The button goes with the question: whoever reads on with the keyboard goes on with the answer. */
async function choose(event, task, label) {
  const card = event.target.closest(".card");
  await say(task, label);
  requestAnimationFrame(() => card.querySelector(".compared, .rating")?.focus());
}

/** What the reader said, and what the model says. */
export function compared({ own, answer }) {
  if (!own) return nothing;
  const unsure = answer.signal !== "" && answer.signal !== answer.label;
  const ours = unsure ? t("audit_unsure", { label: labelName(answer.label) }) : labelName(answer.label);
  const words = unsure ? "" : t(own === answer.label ? "audit_same" : "audit_differs");
  return html`<div class="compared" tabindex="-1">
    <dl><div><dt>${t("audit_yours")}</dt><dd>${labelName(own)}</dd></div><div><dt>${t("audit_ours")}</dt><dd>${ours}</dd></div></dl>
    <p class="hint">${words} ${t("audit_thanks")}</p>
  </div>`;
}

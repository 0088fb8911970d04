/** An answer with labels: what it comes to in words, its probabilities as bars, and what it rests on. */
import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { places } from "../spans.js";
import { change, state } from "../state.js";
import { has, labelName, percent, t } from "../words.js";

const SHOWN = 3;

/** @param fixed whether this is a report, where nothing is to be clicked */
export function labelled(task, { answer }, asked = state.asked, fixed = false) {
  const veracity = task === "veracity";
  return html`
    ${veracity ? wording(answer) : topic(answer)}
    ${answer.doubt ? html`<p class="hint" title=${answer.doubt}>${t("doubt_reason", { doubt: reason(answer) })}</p>` : nothing}
    ${bars(answer, veracity)} ${answer.evidence && asked?.text ? evidence(task, answer, asked, fixed) : nothing}
    ${veracity ? caveat() : nothing}
  `;
}

/** Why there is doubt; its figures are calibrated, unlike the bars, and stand apart from them. */
const reason = ({ doubt }) => doubt.split(":")[0];

/** A model without a signal of its own says its label as it is. */
const sure = ({ signal, label }) => signal === label || signal === "";

function wording(answer) {
  if (!sure(answer)) return html`<p class="verdict none">${t("veracity_none")}</p>`;
  const name = `veracity_like_${answer.label}`;
  return html`<p class="verdict">${has(name) ? t(name) : t("veracity_like_other", { label: answer.label })}</p>`;
}

function topic(answer) {
  if (sure(answer)) return html`<p class="verdict">${answer.label}</p>`;
  return html`<p class="verdict none">${t("category_unsure")}, <span>${t("category_perhaps", { label: answer.label })}</span></p>`;
}

function bars({ probabilities, label }, all) {
  const ranked = Object.entries(probabilities).sort(([one, a], [other, b]) => b - a || (other === label) - (one === label));
  const shown = all ? ranked : ranked.slice(0, SHOWN);
  const rest = ranked.slice(shown.length);
  return html`<ul class="bars">${shown.map(bar)}</ul>
    ${rest.length
      ? html`<details><summary>${t("all_labels", { count: ranked.length })}</summary><ul class="bars">${rest.map(bar)}</ul></details>`
      : nothing}`;
}

function bar([label, probability]) {
  return html`<li><span class="bar-name">${labelName(label)}</span>
    <svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
      <rect class="track" width="100" height="8"></rect><rect class="fill" width=${(100 * probability).toFixed(2)} height="8"></rect>
    </svg><span class="bar-share">${percent(probability)}</span></li>`;
}

function caveat() {
  const served = state.models?.models.find((one) => one.task === "veracity");
  const accuracy = served?.accuracy;
  const words = [t("veracity_not_checked")];
  if (accuracy?.unseen) {
    const shares = Object.fromEntries(Object.entries(accuracy).filter(([, value]) => value !== null).map(([name, value]) => [name, percent(value)]));
    words.push(t(shares.in_domain ? "accuracy_both" : "accuracy_unseen", shares));
    if (shares.answered && shares.unseen_answered) words.push(t("accuracy_answered", shares));
  }
  return html`<p class="caveat">${words.join(" ")}
    ${served?.card ? html`<a href=${`v1/${served.card}`} target="_blank">${t("model_card")}</a>` : nothing}</p>`;
}

function evidence(task, answer, asked, fixed) {
  const at = places(asked.text);
  if (!answer.evidence.length) return html`<p class="hint">${t("evidence_none")}</p>`;
  const list = html`<ol>${answer.evidence.map(
    ({ start, end, weight }) => html`<li><q dir="auto">${asked.text.slice(at(start), at(end)).trim()}</q>
      <span class="hint">${t("evidence_weight", { label: answer.label, points: Math.round(1000 * weight) / 10 })}</span></li>`,
  )}</ol>`;
  if (fixed) return html`<div class="evidence-list"><h3>${t("evidence_title")}</h3>${list}</div>`;
  const shown = state.shownEvidence === task;
  return html`<details class="evidence-list" ?open=${shown}>
    <summary @click=${(event) => showEvidence(event, task)}>${t("evidence_title")}</summary>${list}
  </details>`;
}

/** Mark the sentences that moved a task in the article, or take the marks away. */
function showEvidence(event, task) {
  event.preventDefault();
  change({ shownEvidence: state.shownEvidence === task ? "" : task });
}

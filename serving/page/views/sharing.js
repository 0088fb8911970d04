/** What becomes of an answer: a link that others can open, a print, a file. */
import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { saveFile, send } from "../api.js";
import { share, tasks } from "../article.js";
import { change, state } from "../state.js";
import { moment, t } from "../words.js";

/** What can be done with the answers, for the row of buttons over the article. */
export function sharingButtons() {
  const ready = tasks().every((task) => state.answers[task]?.status === "done");
  const keeps = state.models?.keeps;
  const words = keeps?.texts ? t("share_with_text") : t("share_no_text");
  return html`
    ${keeps?.reports ? html`<button type="button" title=${words} ?disabled=${!ready || Boolean(state.shared)} @click=${share}>${t("share")}</button>` : nothing}
    <button type="button" ?disabled=${!ready} @click=${() => window.print()}>${t("print")}</button>
    <button type="button" ?disabled=${!ready} @click=${saveAnswer}>${t("save_json")}</button>`;
}

/** The link of a kept report, once there is one. */
export function shared() {
  return state.shared ? html`<div class="shared">${SHARED[state.shared.status](state.shared)}</div>` : nothing;
}

const linkOf = (id) => new URL(`?report=${id}`, new URL("./", document.baseURI)).href;

const SHARED = {
  asking: () => html`<p class="busy"><span class="spinner" aria-hidden="true"></span>${t("asking")}</p>`,
  failed: ({ problem }) => html`<p class="bad">${problem}</p><button type="button" @click=${share}>${t("again")}</button>`,
  removed: () => html`<p>${t("share_removed")}</p>`,
  done: ({ id, until }) => html`<label>${t("shared", { until: moment(until) })}
      <input class="share-link" readonly aria-label=${t("share_link")} .value=${linkOf(id)} @focus=${(event) => event.target.select()}></label>
    <div class="row"><a href=${linkOf(id)} target="_blank">${t("share_link")}</a>
    <button type="button" class="plain" @click=${() => remove(id)}>${t("share_remove")}</button></div>
    <p class="hint">${t(state.models?.keeps?.texts ? "share_with_text" : "share_no_text")}</p>`,
};

async function remove(id) {
  if (!confirm(t("share_really"))) return;
  try {
    await send(`v1/reports/${id}`, { method: "DELETE" });
    change({ shared: { status: "removed" } });
  } catch (problem) {
    change({ problem: problem.message });
  }
}

function saveAnswer() {
  const { title, url, text, meta } = state.asked;
  const entries = Object.entries(state.answers);
  const document = {
    note: t("veracity_not_checked"),
    article: { title: title || null, url: url || null, ...meta, text },
    ...Object.fromEntries(entries.map(([task, { answer }]) => [task, answer])),
    readings: Object.fromEntries(entries.map(([task, { reading }]) => [task, reading])),
    models: Object.fromEntries(entries.map(([task, { model }]) => [task, model])),
  };
  saveFile("info-lens.json", new Blob([JSON.stringify(document, null, 2)], { type: "application/json" }));
}

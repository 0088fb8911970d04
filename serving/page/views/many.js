/** Many articles: a table that fills as answers come. */
import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { change, state } from "../state.js";
import { cancel, counts, download, leftS, openTable, remove, restore, retryFailed, start, work } from "../table.js";
import { duration, number, t } from "../words.js";
import { lengthControl } from "./settings.js";
import { rowsTable } from "./rows.js";

const FORMATS = ["csv", "xlsx", "json"];

restore().then(() => change());

export function view() {
  return html`
    <h1>${t("many_title")}</h1>
    <section class="paper">
      ${work.table ? nothing : html`<p>${t("many_text")}</p>`}
      ${state.busy
        ? html`<p class="busy" role="status"><span class="spinner" aria-hidden="true"></span>${state.busy}</p>` : nothing}
      ${work.table ? table() : html`<div class="dropzone">${opener("first")}<span class="hint">${t("drop_here")}</span></div>`}
    </section>
  `;
}

function opener(kind = "") {
  const open = (event) => {
    [...event.target.files].slice(0, 1).forEach(openTable);
    event.target.value = "";
  };
  return html`<label class="button ${kind}">${t("many_open")}<input class="hidden" type="file"
    accept=".csv,.tsv,.xlsx,.json,.jsonl,.ndjson,.zip" @change=${open}></label>`;
}

function table() {
  const { name, columns = {}, rows, notes = [] } = work.table;
  const { text, title, url } = columns;
  const found = counts();
  const from = text ? t(title ? "many_columns" : "many_columns_text", { text, title }) : url ? t("many_columns_url", { url }) : "";
  return html`
    <div class="row between">
      <p><strong>${t("many_rows", { count: rows.length, name })}</strong> <span class="hint">${from}</span></p>
      <span class="row">${opener()}<button type="button" class="plain" @click=${remove}>${t("many_remove")}</button></span>
    </div>
    ${notes.map((note) => html`<p class="hint">${note}</p>`)}
    ${controls(found)} ${rowsTable()} ${downloads(found)}
  `;
}

function controls(found) {
  const { total, done, failed, open } = found;
  const seconds = work.running ? leftS(found) : null;
  const again = work.running || !failed ? 0 : retries();
  const begun = work.answers.size > 0;
  const go = html`<button type="button" class="first" @click=${start}>${t(begun ? "many_go_on" : "many_start")}</button>`;
  const words = [t("many_progress", { done: number(done), total: number(total) })];
  if (failed) words.push(t("many_failed", { count: failed }));
  if (seconds !== null) words.push(t("many_left", { time: duration(seconds) }));
  if (!work.running && !open) words.push(t("many_done"));
  if (work.cancelled) words.push(t("many_cancelled"));
  return html`
    ${work.running || begun ? nothing : lengthControl()}
    <div class="row progress">
      ${work.running ? html`<button type="button" @click=${cancel}>${t("many_cancel")}</button>` : open ? go : nothing}
      ${again ? html`<button type="button" @click=${retryFailed}>${t("many_retry", { count: again })}</button>` : nothing}
      <progress max=${total} value=${done + failed} aria-label=${words[0]}></progress>
      <span>${words.join(" · ")}</span>
    </div>
  `;
}

/** Rows that the server refused; what the file itself lacks no second try brings. */
const retries = () => [...work.answers.values()].filter((one) => one.error).length;

function downloads({ done, failed }) {
  return html`<div class="row tools"><span>${t("many_download")}</span>
    ${FORMATS.map((format) => html`<button type="button" ?disabled=${!(done + failed) || Boolean(state.busy)} @click=${() => download(format)}>${t(`many_${format}`)}</button>`)}
  </div>`;
}

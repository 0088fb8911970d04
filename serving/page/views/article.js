/** One article: the form, and once it was asked, the article beside its answers. */
import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { live } from "../vendor/lit-html/directives/live.js";
import { analyze, cancelFilling, fetchLink, openFile, stop, tasks } from "../article.js";
import { change, clearArticle, state } from "../state.js";
import { t } from "../words.js";
import { answers } from "./answers.js";
import { about, reader } from "./reader.js";
import { sharingButtons, shared } from "./sharing.js";
import { exactSettings, lengthControl } from "./settings.js";

export function articleView() {
  return html`
    <h1 class=${state.asked ? "hidden" : ""}>${t("article_title")}</h1>
    <div class="columns ${state.asked ? "asked" : ""}">
      ${state.editing || !state.asked ? form() : html`<section class="paper">${toolbar()}${reader()}</section>`}
      <section class="answers" aria-label=${t("tagline")}>${answers()}</section>
    </div>
  `;
}

function form() {
  const { form: given, busy, models } = state;
  const fetches = models?.fetches ?? { allowed: true };
  const edit = (name) => (event) => change({ form: { ...state.form, [name]: event.target.value } });
  const submit = (event) => {
    event.preventDefault();
    analyze();
  };
  const link = (event) => {
    event.preventDefault();
    const url = new FormData(event.target).get("url").trim();
    if (url) fetchLink(url);
  };
  const keys = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) analyze();
  };
  return html`<section class="paper form">
    <form class="row link" @submit=${link}>
      <label class="grow">${t("link_label")}
        <input name="url" type="text" inputmode="url" autocomplete="off" spellcheck="false" placeholder=${t("link_placeholder")}
          .value=${live(given.url)} ?disabled=${!fetches.allowed} @input=${edit("url")}></label>
      <button ?disabled=${!fetches.allowed || Boolean(busy)}>${t("link_fetch")}</button>
    </form>
    ${fetches.allowed ? nothing : html`<p class="hint">${t("link_off", { reason: fetches.why_not })}</p>`}
    <div class="row between">
      <span class="hint">${t("or_text")}</span>
      <label class="button">${t("open_file")}<input class="hidden" type="file" accept=".txt,.html,.htm,.docx,.pdf,.md,text/*"
        @change=${(event) => [...event.target.files].slice(0, 1).forEach(openFile)}></label>
    </div>
    ${busy
      ? html`<p class="busy" role="status"><span class="spinner" aria-hidden="true"></span>${busy}
          <button type="button" class="plain" @click=${cancelFilling}>${t("cancel")}</button></p>`
      : nothing}
    ${given.meta ? html`<div class="found"><p class="hint">${t("what_was_read")}</p>${about(given)}</div>` : nothing}
    <form @submit=${submit} @keydown=${keys}>
      <label>${t("headline_label")} <span class="hint">${t("headline_hint")}</span>
        <input name="title" dir="auto" autocomplete="off" .value=${live(given.title)} @input=${edit("title")}></label>
      <label>${t("text_label")}
        <textarea name="text" dir="auto" rows="12" .value=${live(given.text)} @input=${edit("text")}></textarea></label>
      ${lengthControl()} ${exactSettings()}
      <div class="row">
        <button class="first" ?disabled=${Boolean(busy)}>${t("analyze")}</button>
        <span class="hint wide">${t("analyze_hint")}</span>
        ${given.text || given.title || given.url
          ? html`<button type="button" class="plain" @click=${clear}>${t("clear")}</button>`
          : html`<button type="button" class="plain" @click=${example}>${t("try_example")}</button>`}
      </div>
    </form>
  </section>`;
}

function clear() {
  stop();
  clearArticle();
}

function example() {
  change({ form: { url: "", title: t("example_title"), text: t("example_text"), meta: null } });
  analyze();
}

function toolbar() {
  const asking = tasks().some((task) => ["asking", "waiting"].includes(state.answers[task]?.status));
  return html`<div class="row toolbar">
      ${asking ? html`<button type="button" @click=${stop}>${t("cancel")}</button>` : nothing}
      <button type="button" @click=${() => change({ editing: true })}>${t("edit")}</button>
      <button type="button" @click=${clear}>${t("clear")}</button>
      ${sharingButtons()}
    </div>
    ${shared()}`;
}

/** What stands around every view: the head with the pages, words about the server, and what is kept where. */
import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { tryNow } from "../server.js";
import { change, keepKey, state } from "../state.js";
import { t } from "../words.js";

const VIEWS = ["article", "many", "programs"];

export function frame(content) {
  return html`
    <a class="skip" href="#content" @click=${skip}>${t("skip")}</a>
    <header class="top">
      <a class="brand" href="./"><img src="page/icon.svg" alt="" width="26" height="26"> ${t("brand")}</a>
      <nav aria-label=${t("nav_label")}>
        ${VIEWS.map(
          (view) => html`<a href="./#${view}" aria-current=${state.view === view ? "page" : nothing}>${t(`nav_${view}`)}</a>`,
        )}
        ${state.models?.feedback?.keeps || state.view === "quality"
          ? html`<a href="quality" aria-current=${state.view === "quality" ? "page" : nothing}>${t("nav_quality")}</a>`
          : nothing}
      </nav>
      ${serverMark()}
    </header>
    <main id="content" tabindex="-1">${state.wantsKey ? keyForm() : nothing} ${away()} ${waiting()} ${trouble()} ${content}</main>
    <footer>${kept()}</footer>
    <p class="hidden" role="status" aria-live="polite">${state.notice}</p>
  `;
}

function skip(event) {
  event.preventDefault();
  document.querySelector("main").focus();
}

function serverMark() {
  if (state.reachable === null) return nothing;
  const words = state.reachable ? t("server_ready") : t("server_away");
  const kind = state.reachable ? (state.partly ? "partly" : "ready") : "away";
  return html`<span class="mark ${kind}" title=${state.partly || nothing}><i aria-hidden="true"></i>${words}</span>`;
}

function away() {
  if (state.view === "quality") return nothing; // it has words of its own
  if (state.reachable === false) {
    const seconds = Math.ceil((state.nextTryMs - Date.now()) / 1000);
    return html`<div class="notice warn" role="alert">
      <p>${t("away_banner")} ${state.nextTryMs ? t("away_count", { count: Math.max(1, seconds) }) : t("away_now")}</p>
      <button type="button" @click=${tryNow}>${t("try_now")}</button>
    </div>`;
  }
  return state.partly ? html`<p class="notice warn">${t("server_partly", { reason: state.partly })}</p>` : nothing;
}

/** Ratings that the server does not have yet, and those that it will not take. */
function waiting() {
  const { waiting: count, late, refused } = state.outbox;
  return html`${count && late ? html`<p class="notice" role="status">${t("ratings_wait", { count })}</p>` : nothing}
    ${refused.map(
      ({ words, dismiss }) => html`<div class="notice bad" role="alert"><p dir="auto">${words}</p>
        <button type="button" @click=${dismiss}>${t("dismiss")}</button></div>`,
    )}`;
}

function trouble() {
  if (!state.problem) return nothing;
  return html`<div class="notice bad" role="alert">
    <p dir="auto">${state.problem}</p>
    <button type="button" @click=${() => change({ problem: "" })}>${t("dismiss")}</button>
  </div>`;
}

function keyForm() {
  const use = (event) => {
    event.preventDefault();
    keepKey(new FormData(event.target).get("key").trim());
    window.dispatchEvent(new Event("infolens-key"));
  };
  return html`<form class="notice key" @submit=${use}>
    <h2>${t("key_title")}</h2>
    <p>${t("key_text")}</p>
    <div class="row">
      <label>${t("key_label")} <input name="key" type="password" autocomplete="off" required></label>
      <button class="first">${t("key_use")}</button>
    </div>
  </form>`;
}

function kept() {
  const { keeps, feedback } = state.models ?? {};
  const words = [t("kept_here"), t("kept_table")];
  if (feedback?.keeps) {
    const what = t(feedback.texts ? "kept_with_text" : "kept_without_text");
    words.push(t("answers_kept", { what, count: feedback.days }), t("rater_kept"));
  }
  if (keeps?.reports) {
    const what = keeps.texts ? t("kept_with_texts") : t("kept_without_texts");
    words.push(t("kept_reports", { what, count: keeps.days, where: keeps.where }));
  } else if (state.models && !feedback?.keeps) words.push(t("kept_nothing"));
  words.push(t("kept_log"));
  return html`<p>${words.join(" ")}</p>
    ${state.key ? html`<button class="plain" type="button" @click=${() => keepKey("")}>${t("key_forget")}</button>` : nothing}`;
}

/** A summary: its sentences lead to where they stand in the article, and what the article lacks is marked. */
import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { findQuotes, pieces, places } from "../spans.js";
import { change, state } from "../state.js";
import { t } from "../words.js";
import { go, look, quotes } from "./reader.js";

/**
 * @param answer of the summary
 * @param asked what it was made of; its text may be missing in a report
 */
export function summary(answer, asked = state.asked) {
  const { text, unsupported = [], sentences = [] } = answer;
  const quoted = quotes(asked, answer);
  const found = findQuotes(text, quoted);
  const at = places(text);
  const marks = [
    ...found.map((span) => ({ kind: "quote", ...span })),
    ...unsupported.map((span) => ({ ...span, kind: "unsupported", what: span.kind, start: at(span.start), end: at(span.end) })),
  ];
  const cut = sentences.some((one) => one.truncated);
  return html`
    <p class="summary-text" dir="auto" lang="en">${pieces(text, marks).map(piece)}</p>
    ${unsupported.length ? lacking(unsupported) : nothing}
    <p class="hint">${kind(text, found, sentences)} ${cut ? t("summary_cut") : nothing}</p>
    ${asked === state.asked ? html`<button type="button" class="plain" @click=${() => copy(text)}>${state.copied ? t("copied") : t("copy")}</button>` : nothing}
  `;
}

function kind(text, found, sentences) {
  if (!sentences.length) return t("summary_free");
  const covered = found.reduce((sum, { start, end }) => sum + end - start, 0);
  if (found.length && covered < 0.9 * text.replace(/\s/g, "").length) return t("summary_partly");
  return html`${t("summary_quotes")} ${found.length ? html`<span class="on-screen">${t("summary_links")}</span>` : nothing}`;
}

function piece({ text, marks }) {
  const quote = marks.find((mark) => mark.kind === "quote");
  const lacks = marks.find((mark) => mark.kind === "unsupported");
  const body = lacks ? html`<mark class="unsupported" title=${t("unsupported_mark")}>${text}</mark>` : text;
  if (!quote) return body;
  const number = quote.quote;
  return html`<a class="quote ${state.active === number ? "active" : ""}" id="summary-${number}" href="#sentence-${number}"
    @click=${(event) => go(event, `sentence-${number}`)}
    @pointerenter=${() => look(number)} @pointerleave=${() => look(-1)} @focus=${() => look(number)} @blur=${() => look(-1)}>${body}</a>`;
}

function lacking(unsupported) {
  return html`<p class="lacking">${t("unsupported", { count: unsupported.length })}
    ${unsupported.map(({ text, kind }, number) => html`${number ? ", " : nothing}<mark class="unsupported">${text}</mark> (${t(`unsupported_${kind}`)})`)}</p>`;
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    change({ copied: true });
    setTimeout(() => change({ copied: false }), 2000);
  } catch {
    getSelection().selectAllChildren(document.querySelector(".summary-text")); // without leave, the reader copies
  }
}

/** The article, with the sentences that answers rest on, and what was not read greyed out. */
import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { percent, day, t, taskName, wordCount } from "../words.js";
import { pieces, places } from "../spans.js";
import { change, state } from "../state.js";

/** Sites put anything into their links: only these are followed. */
const isWeb = (url) => /^https?:\/\//i.test(url ?? "");

/** Who wrote an article, when and where, and what others have checked in it. */
export function about({ url, text, meta }) {
  const { author, date, site, reviews = [], notes = [] } = meta ?? {};
  const facts = [
    site && html`<bdi>${site}</bdi>`,
    author && html`<bdi>${t("meta_by", { author })}</bdi>`,
    date && html`<time datetime=${date}>${day(date)}</time>`,
    text && t("meta_words", { count: wordCount(text) }),
  ].filter(Boolean);
  return html`
    <p class="facts">${facts.map((fact, number) => html`${number ? " · " : nothing}${fact}`)}</p>
    ${isWeb(url) ? html`<p class="facts"><a href=${url} rel="noreferrer noopener nofollow" target="_blank" dir="ltr">${url}</a></p>` : nothing}
    ${notes.map((note) => html`<p class="hint">${note}</p>`)} ${reviews.length ? checked(reviews) : nothing}
  `;
}

function checked(reviews) {
  return html`<aside class="reviews">
    <h3>${t("reviews_title")}</h3>
    <p class="hint">${t("reviews_text")}</p>
    <ul>${reviews.map(({ claim, rating, publisher, url, date }) => {
      const words = t("review_rating", { publisher: publisher ?? t("review_somebody"), rating });
      return html`<li><span dir="auto">${t("review_claim", { claim })}</span><br>
        ${isWeb(url) ? html`<a href=${url} rel="noreferrer noopener nofollow" target="_blank">${words}</a>` : words}
        ${date ? html` <time datetime=${date}>${day(date)}</time>` : nothing}</li>`;
    })}</ul>
  </aside>`;
}

/** The sentences that the summary quotes, in its order, in UTF-16 units of the article. */
export function quotes(asked = state.asked, summary = state.answers.summary?.answer) {
  if (!asked?.text || !summary) return [];
  const at = places(asked.text);
  return (summary.sentences ?? []).map(({ start, end, truncated }) => ({
    start: at(start),
    end: at(end),
    truncated,
    text: asked.text.slice(at(start), at(end)),
  }));
}

/** What the model of a task did not read, in UTF-16 units of the article. */
function unread(task) {
  const { reading } = state.answers[task] ?? {};
  if (!reading?.truncated_tokens) return [];
  const { text } = state.asked;
  if (reading.unread) {
    const at = places(text);
    return reading.unread.map(({ start, end }) => ({ start: at(start), end: at(end) }));
  }
  // An older server tells how much was read, and not what: then it is the beginning, about so far.
  const share = 1 - reading.truncated_tokens / reading.tokens;
  return [{ start: Math.round(share * text.length), end: text.length }];
}

export function reader() {
  const { asked } = state;
  const evidence = state.shownEvidence ? (state.answers[state.shownEvidence]?.answer?.evidence ?? []) : [];
  const at = places(asked.text);
  const marks = [
    ...quotes().map((quote, number) => ({ kind: "quote", number, ...quote })),
    ...unread(unreadFor()).map((span) => ({ kind: "unread", ...span })),
    ...evidence.map(({ start, end }, number) => ({ kind: "evidence", number, start: at(start), end: at(end) })),
  ];
  return html`
    <h2 class="headline" dir="auto">${asked.title || t("reader_title")}</h2>
    ${about(asked)} ${unreadWords()}
    <div class="text" dir="auto" lang="en">${pieces(asked.text, marks).map(piece)}</div>
  `;
}

function piece({ text, marks }) {
  const of = (kind) => marks.find((mark) => mark.kind === kind);
  const quote = of("quote");
  const kinds = [of("unread") && "unread", of("evidence") && "evidence", quote && state.active === quote.number && "active"];
  const classes = kinds.filter(Boolean).join(" ");
  if (!quote) return classes ? html`<span class=${classes} title=${of("unread") ? t("unread_word") : nothing}>${text}</span>` : text;
  const { number } = quote;
  return html`<a class="quote ${classes}" id="sentence-${number}" href="#summary-${number}" @click=${(event) => go(event, `summary-${number}`)}
    @pointerenter=${() => look(number)} @pointerleave=${() => look(-1)} @focus=${() => look(number)} @blur=${() => look(-1)}>${text}</a>`;
}

/** Look at a sentence of the summary, and the same one in the article. */
export function look(number) {
  if (state.active !== number) change({ active: number });
}

/** Go from a sentence to the same one on the other side; the address of the page stays. */
export function go(event, id) {
  event.preventDefault();
  const target = document.getElementById(id);
  if (!target) return;
  target.scrollIntoView({ block: "center", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  target.focus({ preventScroll: true });
}

const cutTasks = () => Object.keys(state.answers).filter((task) => state.answers[task].reading?.truncated_tokens);

/** The task whose reading is shown: the chosen one, or else the first that did not read everything. */
function unreadFor() {
  const cut = cutTasks();
  return cut.includes(state.unreadFor) ? state.unreadFor : cut[0];
}

function unreadWords() {
  const cut = cutTasks();
  if (!cut.length) return nothing;
  const chosen = unreadFor();
  const { reading } = state.answers[chosen];
  const read = reading.tokens - reading.truncated_tokens;
  const spread = (reading.unread?.length ?? 1) > 1;
  const why = t(spread ? "unread_why_spread" : "unread_why_beginning", { count: read });
  return html`<p class="unread-words">
    <label>${t("unread_label")}
      <select @change=${(event) => change({ unreadFor: event.target.value })}>
        ${cut.map((task) => html`<option value=${task} ?selected=${task === chosen}>${taskName(task)}</option>`)}
      </select><span class="on-paper">${taskName(chosen)}</span></label>
    <span>${why} ${t("unread_share", { share: percent(reading.truncated_tokens / reading.tokens) })}</span>
  </p>`;
}

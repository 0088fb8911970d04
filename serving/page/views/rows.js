/** The rows of a table: sorted, filtered, a page at a time. */
import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { live } from "../vendor/lit-html/directives/live.js";
import { repeat } from "../vendor/lit-html/directives/repeat.js";
import { change } from "../state.js";
import { isDone, isFailed, rowError, work } from "../table.js";
import { has, number, t } from "../words.js";
import { openRow } from "./open-row.js";

const PAGE_ROWS = 50;
const COLUMNS = ["number", "article", "category", "veracity", "summary", "state"];
const look = { words: "", show: "all", sort: "number", down: false, page: 0, open: null };
const KEEPS = {
  all: () => true,
  done: isDone,
  failed: isFailed,
  waiting: (row) => !isDone(row) && !isFailed(row),
};

const set = (changes) => {
  Object.assign(look, { page: 0 }, changes);
  change();
};

const titleOf = (row) => {
  const { title, text, url, id } = work.table.rows[row];
  return title || text?.trim().slice(0, 90) || url || id || t("untitled");
};

/** What the wording comes to, in two or three words. */
function wording(answer) {
  if (!answer?.veracity) return "";
  const { signal, label } = answer.veracity;
  const shown = signal || label;
  if (shown !== label) return t("no_signal");
  return has(`like_${label}`) ? t(`like_${label}`) : label;
}

const stateOf = (row) =>
  isFailed(row) ? "failed" : isDone(row) ? "done" : work.asking.has(row) ? "asking" : "waiting";

const VALUES = {
  number: (row) => row,
  article: titleOf,
  category: (row) => work.answers.get(row)?.category?.signal ?? "",
  veracity: (row) => wording(work.answers.get(row)),
  summary: (row) => work.answers.get(row)?.summary?.text ?? "",
  state: (row) => t(`state_${stateOf(row)}`),
};

function chosen() {
  const wanted = look.words.trim().toLowerCase();
  const fits = (row) =>
    !wanted || ["article", "category", "veracity", "summary"].some((name) => VALUES[name](row).toLowerCase().includes(wanted))
    || (work.table.rows[row].id ?? "").toLowerCase().includes(wanted) || rowError(row).toLowerCase().includes(wanted);
  const found = work.table.rows.map((_, row) => row).filter((row) => KEEPS[look.show](row) && fits(row));
  if (look.sort !== "number") {
    const values = new Map(found.map((row) => [row, VALUES[look.sort](row)]));
    // What has no value yet comes last, in whatever order.
    found.sort((one, other) => {
      const [a, b] = [values.get(one), values.get(other)];
      if (!a !== !b) return a ? -1 : 1;
      return (look.down ? -1 : 1) * a.localeCompare(b) || one - other;
    });
  } else if (look.down) found.reverse();
  return found;
}

export function rowsTable() {
  const found = chosen();
  const last = Math.max(0, Math.ceil(found.length / PAGE_ROWS) - 1);
  look.page = Math.min(look.page, last);
  const shown = found.slice(look.page * PAGE_ROWS, (look.page + 1) * PAGE_ROWS);
  return html`
    <div class="row filters">
      <label>${t("many_filter")} <input type="search" placeholder=${t("many_filter_placeholder")}
        .value=${live(look.words)} @input=${(event) => set({ words: event.target.value })}></label>
      <label>${t("many_show")} <select @change=${(event) => set({ show: event.target.value })}>
        ${Object.keys(KEEPS).map((one) => html`<option value=${one} ?selected=${one === look.show}>${t(`many_show_${one}`)}</option>`)}
      </select></label>
    </div>
    <div class="scroll" tabindex="0" role="region" aria-label=${t("many_title")}>
      <table>
        <thead><tr>${COLUMNS.map(head)}</tr></thead>
        <tbody>${repeat(shown, (row) => row, line)}</tbody>
      </table>
      ${found.length ? nothing : html`<p class="hint">${t("many_none")}</p>`}
    </div>
    ${found.length > PAGE_ROWS ? pages(found.length, last) : nothing}
  `;
}

function head(name) {
  const sorted = look.sort === name;
  const order = sorted ? (look.down ? "descending" : "ascending") : nothing;
  const sort = () => set({ sort: name, down: sorted && !look.down });
  return html`<th scope="col" aria-sort=${order} class=${name}>
    <button type="button" class="plain" title=${t("sort_by", { column: t(`column_${name}`) })} @click=${sort}>${t(`column_${name}`)}<span
      aria-hidden="true">${sorted ? (look.down ? " ▾" : " ▴") : ""}</span></button></th>`;
}

function line(row) {
  const answer = work.answers.get(row);
  const kind = stateOf(row);
  const unsure = answer?.category && answer.category.signal !== answer.category.label && answer.category.signal !== "";
  const error = rowError(row);
  const { text } = work.table.rows[row];
  const toggle = () => {
    look.open = look.open === row ? null : row;
    change();
  };
  const wide = look.open === row;
  return html`<tr class=${kind}>
    <td class="number">${number(row + 1)}</td>
    <th scope="row" class="article"><button type="button" class="plain" dir="auto" aria-expanded=${String(wide)} @click=${toggle}>${titleOf(row)}</button>
      ${wide && (text || answer?.article) && answer && !answer.error
        ? html`<button type="button" @click=${() => openRow(row)}>${t("row_open")}</button>` : nothing}</th>
    <td class=${unsure ? "none" : ""}>${answer?.category ? (unsure ? t("category_unsure") : answer.category.label) : ""}</td>
    <td class=${answer?.veracity && answer.veracity.signal !== answer.veracity.label ? "none" : ""}>${VALUES.veracity(row)}</td>
    <td class="summary ${wide ? "wide" : ""}" dir="auto"><div>${error ? html`<span class="bad">${error}</span>` : VALUES.summary(row)}</div></td>
    <td class="state"><span class="chip ${kind}">${VALUES.state(row)}</span></td>
  </tr>`;
}

function pages(total, last) {
  const from = look.page * PAGE_ROWS + 1;
  const to = Math.min(from + PAGE_ROWS - 1, total);
  return html`<div class="row pages">
    <button type="button" ?disabled=${look.page === 0} @click=${() => set({ page: look.page - 1 })}>${t("page_before")}</button>
    <span>${t("page_of", { from, to, total })}</span>
    <button type="button" ?disabled=${look.page === last} @click=${() => set({ page: look.page + 1 })}>${t("page_next")}</button>
  </div>`;
}

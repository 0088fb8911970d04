/** Opens a row of the table beside its text, as if it had been asked alone. */
import { stop } from "../article.js";
import { change } from "../state.js";
import { work } from "../table.js";

const TASKS = ["summary", "category", "veracity"];

export function openRow(row) {
  const { title, text, url } = work.table.rows[row];
  const { article = {}, readings = {}, prediction = null, ...answer } = work.answers.get(row);
  const found = TASKS.filter((task) => answer[task]);
  const form = { url: article.url ?? url ?? "", title: title || article.title || "", text: text || article.text, meta: article.url ? article : null };
  stop();
  change({
    form,
    asked: { ...form, evidence: false },
    answers: Object.fromEntries(found.map((task) => [task, { status: "done", answer: answer[task], reading: readings[task], prediction }])),
    consent: false,
    editing: false,
    shared: null,
    active: -1,
  });
  location.hash = "article";
}

/** A kept report: what others see under its link, and what is printed. */
import { html } from "../vendor/lit-html/lit-html.js";
import { read } from "../api.js";
import { back } from "../server.js";
import { change, state } from "../state.js";
import { moment, t, taskName } from "../words.js";
import { labelled } from "./labelled.js";
import { about } from "./reader.js";
import { summary } from "./summary.js";

const NO_TASKS = new Set(["id", "report", "readings", "models", "timings", "truncated", "failed", "article", "prediction", "audit"]);
const id = new URLSearchParams(location.search).get("report");

async function load() {
  try {
    change({ report: await read(`v1/reports/${encodeURIComponent(id)}`) });
  } catch (problem) {
    if (problem.kind === "away") {
      await back();
      return load();
    }
    change({ report: { failed: problem.message } });
  }
}

addEventListener("infolens-key", load);
load();

export function view() {
  const { report } = state;
  if (!report) return html`<p class="busy"><span class="spinner" aria-hidden="true"></span>${t("report_loading")}</p>`;
  if (report.failed) return html`<section class="paper"><h1>${t("report_title")}</h1><p class="bad">${report.failed}</p>${another()}</section>`;
  const { article, answer, made, until } = report;
  const asked = { ...article, text: article.text ?? "", meta: article };
  const tasks = Object.keys(answer).filter((name) => !NO_TASKS.has(name));
  return html`<article class="paper report">
    <p class="hint">${t("report_made", { made: moment(made), until: moment(until) })}</p>
    <h1 dir="auto">${article.title || t("untitled")}</h1>
    ${about(asked)}
    ${tasks.map((task) => html`<section class="card ${task}">
      <h2>${taskName(task)}</h2>
      ${task === "summary" ? summary(answer.summary, asked) : labelled(task, { answer: answer[task] }, asked, true)}
    </section>`)}
    <section class="card">
      <h2>${t("report_models")}</h2>
      <ul>${Object.entries(answer.models ?? {}).map(([task, { model, version, revision }]) => html`<li>${taskName(task)}: ${model} ${version}, <code>${revision}</code></li>`)}</ul>
      <p class="hint">${t("report_hash")}: <code class="long">${article.text_sha256}</code></p>
    </section>
    ${article.text
      ? html`<section class="text" dir="auto">${article.text}</section>`
      : html`<p class="hint">${t("report_no_text", { count: article.words ?? 0 })}</p>`}
    <div class="row tools"><button type="button" @click=${() => window.print()}>${t("print")}</button>${another()}</div>
  </article>`;
}

const another = () => html`<a class="button" href="./#article">${t("report_new")}</a>`;

/** The one number of a task, with what its ratings leave open, and how it went. */
import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { dayShort, t, taskName } from "../words.js";
import { rangeOf } from "./chart.js";
import { SCALES, FEWEST, between, brief, mark, measureOf, strip, written } from "./figures.js";
import { choose, idOf, known } from "./reading.js";

/** The model of a task that is looked at: at first the one that the server names first, which it serves now. */
export const shownOf = (task, models) => models.find((one) => idOf(one) === known.chosen[task]) ?? models[0];

/** @param models those of one task */
export function card(task, models) {
  const model = shownOf(task, models);
  const measure = measureOf(model);
  return html`<article class="card measure ${task}" aria-labelledby="measure-${task}">
    <h2 id="measure-${task}">${taskName(task)}</h2>${revisions(task, models, model)}
    ${measure?.figure ? headline(measure) : none(model)}
    ${former(task, models, model)}
    ${model.predictions ? html`<p class="hint">${t("quality_answers", { count: model.predictions })}</p>` : nothing}
    ${marks(model)}
    ${trend(model, measure)}
    <p class="on-screen"><a href="#details-${task}" @click=${(event) => jump(event, task)}>${t("quality_more", { task: taskName(task) })}</a></p>
  </article>`;
}

function jump(event, task) {
  event.preventDefault();
  const target = document.getElementById(`details-${task}`);
  target.focus({ preventScroll: true });
  target.scrollIntoView();
}

function revisions(task, models, model) {
  if (models.length === 1) return html`<p class="hint chooser">${nameOf(model)}</p>`;
  return html`<label class="chooser"><span class="hidden">${t("quality_revision_of", { task: taskName(task) })}</span>
    <select @change=${(event) => choose(task, event.target.value)}>
      ${models.map((one) => html`<option value=${idOf(one)} ?selected=${one === model}>${nameOf(one)}</option>`)}
    </select></label><p class="hint on-paper">${nameOf(model)}</p>`;
}

/** "revision 1f3a, served now". */
export const nameOf = ({ revision, serving }) => t(serving ? "quality_revision_served" : "quality_revision_former", { revision });

function headline({ figure, scale, name, unit }) {
  if (figure.ratings < FEWEST) {
    const words = written(figure, scale);
    const open = figure.high > figure.low ? "quality_few_open" : "quality_few";
    return html`<p class="few">${t("quality_too_few", { count: figure.ratings })}</p>
      ${strip(figure, scale, { faint: true })}
      <p>${t(open, words)}</p>`;
  }
  return html`<p class="label">${t(name)}</p>
    <p class="big"><strong>${written(figure, scale).value}</strong> <span>${t(unit)}</span></p>
    ${strip(figure, scale)}
    <p class="said">${between(figure, scale)}</p>`;
}

function none(model) {
  return html`<p class="few">${t(model.predictions ? "quality_not_rated" : "quality_not_asked")}</p>`;
}

/** Of a revision that was put to service a moment ago there is nothing to say: what is known is of another. */
function former(task, models, model) {
  const ratings = (one) => measureOf(one)?.figure?.ratings ?? 0;
  const other = model.serving && ratings(model) < FEWEST ? models.find((one) => !one.serving && ratings(one) >= FEWEST) : null;
  if (!other) return nothing;
  return html`<p class="hint">${t("quality_other_rated", { revision: other.revision, count: ratings(other) })}
    <button type="button" class="plain on-screen" @click=${() => choose(task, idOf(other))}>${t("quality_other_show")}</button></p>`;
}

const DRIFTS = { stable: "good", moving: "watch", moved: "poor" };
const WORST = ["stable", "moving", "moved"];

/** The state of a model's articles: of all that is measured the worst; null where nothing is. */
export function driftOf({ drift }) {
  const found = Object.values(drift ?? {}).map((one) => WORST.indexOf(one.state));
  return found.length ? WORST[Math.max(...found)] : null;
}

export const driftMark = (state, words = t(`quality_drift_${state}`)) => mark(DRIFTS[state], words);

/** Whether blind audits let the model be trusted; nothing where there are none of it. */
export function trustMark({ trusted, audit }) {
  if (trusted === true) return mark("good", t("quality_trusted"));
  if (trusted === false) return mark("poor", t("quality_untrusted"));
  return audit ? mark("unknown", t("quality_trust_open")) : nothing;
}

function marks(model) {
  const drift = driftOf(model);
  return html`<p class="marks">${trustMark(model)} ${drift ? driftMark(drift) : nothing}</p>`;
}

function trend(model, measure) {
  const batches = model.batches.filter((one) => !one.audit);
  if (!measure || batches.length < 2) return nothing;
  return html`<h3>${t("quality_batches", { count: known.document.batch })}</h3>${batchChart(batches, measure.scale, taskName(model.task))}`;
}

/** Batches along a line, and the same as a table. */
export function batchChart(batches, scale, name, bar = null) {
  const full = known.document.batch;
  const period = (one) =>
    one.first_day === one.last_day ? dayShort(one.last_day) : t("quality_from_to", { from: dayShort(one.first_day), to: dayShort(one.last_day) });
  const says = batches.map((one, index) => {
    const count = one.ratings;
    // Only the newest fills up; of the oldest the time that is looked at has a part.
    const open = count < full && index === batches.length - 1;
    return t(open ? "quality_batch_open" : "quality_batch_says", { when: period(one), figure: brief(one, scale), count });
  });
  const figures = {
    name: t("quality_batches_chart", { name, count: batches.length, first: says[0], last: says.at(-1) }),
    labels: batches.map((one) => dayShort(one.last_day)),
    says,
    value: batches.map((one) => one.value),
    low: batches.map((one) => one.low),
    high: batches.map((one) => one.high),
    bar,
    range: rangeOf(scale, batches.map((one) => one.low), batches.map((one) => one.high), bar),
    write: (value) => scale.write(value),
  };
  const rows = batches.map((one) => [period(one), written(one, scale).value, t("quality_reach", written(one, scale)), one.ratings]);
  return html`<trend-chart .figures=${figures}></trend-chart>
    ${asTable(t("quality_batches_table", { name }), ["quality_column_when", measureName(scale), "quality_column_reach", "quality_column_ratings"], rows.toReversed())}`;
}

export const measureName = (scale) => (scale === SCALES.stars ? "quality_satisfaction" : "quality_accuracy");

/** The figures of a chart, for whoever does not see it or wants them exactly. */
export function asTable(name, columns, rows) {
  return html`<details class="figures"><summary>${t("quality_table")}<span class="hidden">: ${name}</span></summary>
    <div class="scroll" tabindex="0" role="region" aria-label=${name}><table>
      <thead><tr>${columns.map((one) => html`<th scope="col">${t(one)}</th>`)}</tr></thead>
      <tbody>${rows.map(([first, ...more]) => html`<tr><th scope="row">${first}</th>${more.map((one) => html`<td>${one ?? t("quality_nothing")}</td>`)}</tr>`)}</tbody>
    </table></div></details>`;
}

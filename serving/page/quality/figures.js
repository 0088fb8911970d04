/** Measures with their intervals: in words, and drawn. */
import { html, nothing, svg } from "../vendor/lit-html/lit-html.js";
import { state } from "../state.js";
import { decimal, percent, share, t } from "../words.js";

/** With fewer ratings nothing is said of a model: their interval covers most of the scale, or lies about being narrow. */
export const FEWEST = 20;

/** A scale: its ends, how a value is written (`span` is the width of its interval), and the least height of a chart. */
export const SCALES = {
  stars: { from: 1, to: 5, ticks: [1, 2, 3, 4, 5], leastSpan: 1, write: (value, span = 1) => decimal(value, span < 0.2 ? 2 : 1) },
  share: { from: 0, to: 1, ticks: [0, 0.25, 0.5, 0.75, 1], leastSpan: 0.2, write: (value, span = 1) => (span < 0.02 ? share(value, 1) : percent(value)) },
};

/** What the founders chose as the measure of a kind of answers. */
const MEASURES = {
  text: { scale: SCALES.stars, name: "quality_satisfaction", unit: "quality_of_stars", of: (model) => model.satisfaction },
  labels: { scale: SCALES.share, name: "quality_accuracy", unit: "quality_right", of: (model) => model.accuracy },
};

/** The kind of a model's answers, `text` or `labels`; null for a task that is no longer served and was never rated. */
export function kindOf(model) {
  const served = state.models?.models.find((one) => one.task === model.task);
  if (served) return served.labels ? "labels" : "text";
  if (model.satisfaction) return "text";
  return model.accuracy || model.audit || model.shown?.coverage || model.drift?.label ? "labels" : null;
}

/** The scale, the words and the figure of a model's measure; null where its kind is not known. */
export function measureOf(model) {
  const measure = MEASURES[kindOf(model)];
  return measure ? { ...measure, figure: measure.of(model) } : null;
}

/** Value and ends of an interval in words, all with as many digits as it takes to tell them apart. */
export function written({ value, low, high }, scale) {
  const span = high - low;
  return { value: scale.write(value, span), low: scale.write(low, span), high: scale.write(high, span) };
}

/** "Between 3.6 and 4.1, from 212 ratings." */
export const between = (figure, scale, count = figure.ratings) => t("quality_between", { ...written(figure, scale), count });

/** "3.9 (3.6 to 4.1)". */
export const brief = (figure, scale) => t("quality_brief", written(figure, scale));

const at = (value, { from, to }) => `${((100 * (Math.min(Math.max(value, from), to) - from)) / (to - from)).toFixed(2)}%`;

/** An interval on its whole scale: what it covers, its value, and a bar that it has to pass. */
export function strip(figure, scale, { bar = null, ticks = true, faint = false } = {}) {
  const width = `${Math.max(0.6, (100 * (figure.high - figure.low)) / (scale.to - scale.from)).toFixed(2)}%`;
  return html`<div class="strip ${faint ? "faint" : ""}" aria-hidden="true">
    <svg><rect class="track" y="9" width="100%" height="6" rx="3"></rect>
      <rect class="reach" x=${at(figure.low, scale)} y="6" width=${width} height="12" rx="3"></rect>
      ${bar === null ? nothing : svg`<line class="goal" x1=${at(bar, scale)} x2=${at(bar, scale)} y1="1" y2="23"></line>`}
      <circle class="value" cx=${at(figure.value, scale)} cy="12" r="5"></circle></svg>
    ${ticks ? html`<p class="ticks">${scale.ticks.map((tick) => html`<span>${scale === SCALES.share ? percent(tick) : tick}</span>`)}</p>` : nothing}
  </div>`;
}

/** A mark with a word: `kind` is `good`, `watch`, `poor` or `unknown`. */
export const mark = (kind, words) => html`<span class="state ${kind}">${words}</span>`;

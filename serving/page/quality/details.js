/** All else that is known of a task's model: by day, by stars, blind audits, drift, agreement, and other revisions. */
import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { dayShort, decimal, number, percent, t, taskName } from "../words.js";
import { asTable, batchChart, driftMark, measureName, nameOf, shownOf, trustMark } from "./card.js";
import { rangeOf } from "./chart.js";
import { SCALES, FEWEST, between, brief, kindOf, mark, measureOf, strip, written } from "./figures.js";
import { known } from "./reading.js";

const DAY_MS = 24 * 3600 * 1000;
/** Words of the vocabulary that are shown: those that moved most. */
const WORDS = 12;

export function details(task, models) {
  const model = shownOf(task, models);
  const measure = measureOf(model);
  const parts = [stars, audit, shown, agreement, days, drift].map((one) => one(model, measure));
  return html`<section class="paper details" id="details-${task}" tabindex="-1" aria-label=${t("quality_details", { task: taskName(task) })}>
    <div class="row between"><h2>${t("quality_details", { task: taskName(task) })}</h2><span class="hint">${nameOf(model)}</span></div>
    <div class="parts">${parts} ${revisions(models)}</div>
  </section>`;
}

const part = (name, content, shape = "") => html`<section class="part ${shape}"><h3>${t(name)}</h3>${content}</section>`;

function stars({ satisfaction }) {
  if (!satisfaction?.ratings) return nothing;
  const rows = satisfaction.stars.map((count, index) => [index + 1, count]).toReversed();
  return part(
    "quality_stars",
    html`<ul class="bars stars">${rows.map(
      ([count, ratings]) => html`<li><span class="bar-name"><span aria-hidden="true">${"★".repeat(count)}</span><span class="hidden">${t("quality_star", { count })}</span></span>
        ${bar(ratings / satisfaction.ratings)}
        <span class="bar-share">${number(ratings)} <span class="hint">${percent(ratings / satisfaction.ratings)}</span></span></li>`,
    )}</ul>`,
  );
}

const bar = (share, kind = "fill") => html`<svg class="bar" aria-hidden="true"><rect class="track" width="100%" height="100%"></rect>
  <rect class=${kind} width="${(100 * share).toFixed(2)}%" height="100%"></rect></svg>`;

/** By what is counted, how few and how many of them are told. */
const COUNTED = {
  ratings: { few: "quality_too_few", between: "quality_between" },
  answers: { few: "quality_too_few_answers", between: "quality_between_answers" },
  audits: { few: "quality_too_few_audits", between: "quality_between_audits" },
};

/** A figure of a share with its name, drawn and in words; `of` says what is counted. */
function line(name, figure, { of = "ratings", ...options } = {}) {
  const few = figure.ratings < FEWEST;
  return html`<div class="line"><p><span>${t(name)}</span> <strong class=${few ? "none" : ""}>${few ? t(COUNTED[of].few, { count: figure.ratings }) : percent(figure.value)}</strong></p>
    ${strip(figure, SCALES.share, { ticks: false, faint: few, ...options })}<p class="hint">${t(COUNTED[of].between, { ...written(figure, SCALES.share), count: figure.ratings })}</p></div>`;
}

function audit(model) {
  if (kindOf(model) !== "labels") return nothing;
  const bar = known.document.trust_bar;
  const batches = model.batches.filter((one) => one.audit);
  return part(
    "quality_audit",
    html`<p class="hint">${t("quality_audit_text")}</p>
      ${model.audit ? audited(model, bar) : html`<p>${t("quality_audit_none")}</p>`}
      ${batches.length > 1 ? batchChart(batches, SCALES.share, t("quality_audit"), bar) : nothing}`,
    "tall",
  );
}

const audited = (model, bar) => html`${line("quality_audit_right", model.audit, { bar, of: "audits" })}
  ${model.accuracy ? line("quality_volunteered", model.accuracy, { bar }) : nothing}
  <p>${trustMark(model)} ${sentence(model.trusted_why)}</p>
  <p class="hint">${t("quality_bar", { bar: percent(bar) })}
    ${model.audit.passed ? t("quality_passed", { count: model.audit.passed }) : nothing}</p>`;

function shown({ shown: found }) {
  if (!found?.coverage && !found?.accuracy) return nothing;
  const { coverage, accuracy } = found;
  return part(
    "quality_shown",
    html`<p class="hint">${t("quality_shown_text")}</p>
      ${coverage ? line("quality_coverage", { ...coverage, ratings: coverage.answers }, { of: "answers" }) : nothing}
      ${accuracy ? line("quality_shown_right", accuracy) : nothing}`,
  );
}

/** The server gives reasons as a part of a sentence; the name of a model that one begins with stays as it is. */
const sentence = (words) => words.replace(/^[a-z]+ /, (first) => first[0].toUpperCase() + first.slice(1)).replace(/[^.]$/, "$&.");

/** Every day that is looked at, with or without answers. */
function calendar(byDay) {
  const found = new Map(byDay.map((one) => [one.day, one]));
  const last = Date.parse(`${known.document.made.slice(0, 10)}T00:00:00Z`);
  return Array.from({ length: known.document.days }, (_, index) => {
    const day = new Date(last - (known.document.days - 1 - index) * DAY_MS).toISOString().slice(0, 10);
    return found.get(day) ?? { day, predictions: 0, ratings: 0, value: null, low: null, high: null };
  });
}

function days({ by_day: byDay, task }, measure) {
  if (!byDay.some((one) => one.predictions || one.ratings)) return nothing;
  const all = calendar(byDay);
  const labels = all.map((one) => dayShort(one.day));
  const name = taskName(task);
  const scale = measure?.scale;
  const rated = (one) => scale && one.ratings && one.value !== null;
  const says = all.map((one) =>
    rated(one)
      ? t("quality_day_says", { when: dayShort(one.day), figure: brief(one, scale), count: one.ratings })
      : t("quality_day_none", { when: dayShort(one.day) }),
  );
  const pick = (field) => all.map((one) => (rated(one) ? one[field] : null));
  const trend = { labels, says, value: pick("value"), low: pick("low"), high: pick("high"), write: (value) => scale.write(value) };
  const most = Math.max(1, ...all.flatMap((one) => [one.predictions, one.ratings]));
  const volume = {
    name: t("quality_volume_chart", { name }),
    labels,
    says: all.map((one) => t("quality_volume_says", { when: dayShort(one.day), answers: one.predictions, ratings: one.ratings })),
    all: all.map((one) => one.predictions),
    value: all.map((one) => one.ratings),
    range: [0, most * 1.05],
    write: (value) => (Number.isInteger(value) ? number(value) : ""),
  };
  const columns = ["quality_column_when", "quality_column_answers", "quality_column_ratings", ...(scale ? [measureName(scale)] : [])];
  const rows = all
    .filter((one) => one.predictions || one.ratings)
    .map((one) => [dayShort(one.day), number(one.predictions), number(one.ratings), ...(scale ? [rated(one) ? brief(one, scale) : null] : [])]);
  return part(
    "quality_days_title",
    html`${all.some(rated)
        ? html`<trend-chart .figures=${{ ...trend, name: t("quality_days_chart", { name }), range: rangeOf(scale, trend.low, trend.high) }}></trend-chart>`
        : nothing}
      <p class="legend"><i class="ink-all"></i>${t("quality_column_answers")} <i class="ink-value"></i>${t("quality_column_ratings")}</p>
      <trend-chart .figures=${volume}></trend-chart>
      ${asTable(t("quality_days_table", { name }), columns, rows.toReversed())}`,
    "broad",
  );
}

const DRIFTS = ["label", "words", "vocabulary"];

function drift(model) {
  if (!model.drift) return part("quality_drift", html`<p class="hint">${sentence(model.drift_why) || t("quality_drift_none")}</p>`);
  return part(
    "quality_drift",
    html`<p class="hint">${t("quality_drift_text")}</p>
      <div class="drifts">${DRIFTS.filter((what) => model.drift[what]).map((what) => drifted(what, model.drift[what]))}</div>`,
    "broad",
  );
}

function drifted(what, { psi, p, state, seen, buckets }) {
  const rows = ROWS[what](buckets);
  const most = Math.max(0.01, ...rows.flatMap((one) => [one.expected, one.seen]));
  const chance = p === null || p === undefined ? "" : p < 0.001 ? t("quality_p_small") : t("quality_p", { p: decimal(p, p < 0.01 ? 3 : 2) });
  return html`<section class="drift"><h4>${t(`quality_drift_of_${what}`)} ${driftMark(state, t(`quality_state_${state}`))}</h4>
    <p>${t(`quality_drift_means_${state}`)}</p>
    <p class="hint">${t(`quality_psi_${what}`, { psi: decimal(psi, 2), count: seen })} ${chance}</p>
    <details ?open=${state !== "stable"}><summary>${t("quality_compared")}</summary><table class="pairs"><thead><tr><th scope="col">${t(`quality_bucket_${what}`)}</th><th scope="col"><i class="ink-all"></i>${t("quality_expected")}</th>
      <th scope="col"><i class="ink-value"></i>${t("quality_seen")}</th></tr></thead>
      <tbody>${rows.map(
        (one) => html`<tr><th scope="row">${one.name}</th><td>${bar(one.expected / most, "other")}<span>${percent(one.expected)}</span></td>
          <td>${bar(one.seen / most)}<span>${percent(one.seen)}</span></td></tr>`,
      )}</tbody></table>
    ${what === "vocabulary" ? html`<p class="hint">${t("quality_words_most", { count: rows.length })}</p>` : nothing}
    </details></section>`;
}

const LEAST = 0.0001;

/** What a bucket adds to the index: how far it moved. */
function moved({ expected, seen }) {
  const [before, now] = [Math.max(expected, LEAST), Math.max(seen, LEAST)];
  return (now - before) * Math.log(now / before);
}

const ROWS = {
  label: (rows) => rows.map((one) => ({ ...one, name: one.bucket })),
  words: (rows) =>
    rows.map((one, index) => {
      const [from, to] = [Number(one.bucket), Number(rows[index + 1]?.bucket)];
      return { ...one, name: index + 1 < rows.length ? t("quality_words_range", { from, to }) : t("quality_words_more", { from }) };
    }),
  vocabulary: (rows) =>
    rows
      .toSorted((one, other) => moved(other) - moved(one))
      .slice(0, WORDS)
      .map((one) => ({ ...one, name: one.bucket === "other" ? t("quality_words_other") : one.bucket })),
};

const RELIABLE = 0.8;
const TENTATIVE = 0.667;

function agreement({ agreement: found }) {
  if (!found?.answers) return nothing;
  const { answers, raters, same, alpha } = found;
  const level = alpha === null ? "unknown" : alpha >= RELIABLE ? "good" : alpha >= TENTATIVE ? "watch" : "poor";
  return part(
    "quality_agreement",
    html`<p>${t("quality_agreement_text", { count: answers, raters, same: same === null ? t("quality_nothing") : percent(same) })}</p>
      <p>${mark(level, t(`quality_agreement_${level}`))}</p>
      ${alpha === null ? nothing : html`<p class="hint">${t("quality_alpha", { alpha: decimal(alpha, 2) })}</p>`}`,
  );
}

function audits(figure) {
  if (!figure) return t("quality_nothing");
  return figure.ratings < FEWEST ? t("quality_too_few_audits", { count: figure.ratings }) : brief(figure, SCALES.share);
}

function revisions(models) {
  if (models.length < 2) return nothing;
  const row = (model) => {
    const measure = measureOf(model);
    const figure = measure?.figure;
    const few = figure && figure.ratings < FEWEST;
    return html`<tr><th scope="row">${nameOf(model)}</th><td>${number(model.predictions)}</td>
      <td>${figure ? html`${few ? t("quality_too_few", { count: figure.ratings }) : between(figure, measure.scale)} ${strip(figure, measure.scale, { ticks: false, faint: few })}` : t("quality_nothing")}</td>
      <td>${audits(model.audit)}</td></tr>`;
  };
  const columns = ["quality_column_revision", "quality_column_answers", measureName(measureOf(models[0])?.scale), "quality_audit"];
  return part(
    "quality_revisions",
    html`<div class="scroll" tabindex="0" role="region" aria-label=${t("quality_revisions")}><table class="revisions">
      <thead><tr>${columns.map((one) => html`<th scope="col">${t(one)}</th>`)}</tr></thead><tbody>${models.map(row)}</tbody></table></div>
      <p class="hint">${t("quality_revisions_text")}</p>`,
    "broad",
  );
}

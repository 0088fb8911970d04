/** How long a summary is: in three words, and exactly for whoever wants that. */
import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { live } from "../vendor/lit-html/directives/live.js";
import { LENGTHS, summarizeAgain } from "../article.js";
import { change, state } from "../state.js";
import { has, number, t } from "../words.js";

/** Short, medium or long. With an article beside it, another choice asks anew. */
export function lengthControl(name = "length") {
  const choose = (length) => () => {
    change({ settings: { ...state.settings, length } });
    if (!state.editing) summarizeAgain();
  };
  return html`<fieldset class="segments">
    <legend>${t("length_label")}</legend>
    ${Object.keys(LENGTHS).map(
      (length) => html`<label><input type="radio" name=${name} value=${length}
        .checked=${live(state.settings.length === length)} @change=${choose(length)}><span>${t(`length_${length}`)}</span></label>`,
    )}
  </fieldset>`;
}

export function exactSettings() {
  const limits = state.models?.limits.settings ?? [];
  const evidence = (event) => change({ settings: { ...state.settings, evidence: event.target.checked } });
  return html`<details class="exact">
    <summary>${t("exact_title")}</summary>
    <p class="hint">${t("exact_hint")}</p>
    <div class="grid">${limits.map(field)}</div>
    <label class="check"><input type="checkbox" .checked=${live(state.settings.evidence)} @change=${evidence}>
      ${t("evidence_label")}</label>
  </details>`;
}

function field(limit) {
  const { name, minimum, maximum, choices } = limit;
  const value = state.settings.exact[name] ?? "";
  const set = (event) => {
    const { [name]: _, ...exact } = state.settings.exact;
    const given = event.target.value;
    // As it was typed: "1.0" may be on the way to "1.05".
    if (given !== "") exact[name] = given;
    change({ settings: { ...state.settings, exact } });
  };
  const label = has(`setting_${name}`) ? t(`setting_${name}`) : name;
  if (choices) {
    const word = (one) => (has(`style_${one}`) ? t(`style_${one}`) : one);
    return html`<label>${label}
      <select .value=${live(value)} @change=${set}>
        <option value="">${t("setting_left_out")}</option>
        ${choices.map((one) => html`<option value=${one} ?selected=${one === value}>${word(one)}</option>`)}
      </select></label>`;
  }
  const range = t("setting_range", { minimum, maximum });
  const step = Number.isInteger(limit.default ?? 0.5) && maximum > 10 ? 1 : "any";
  return html`<label>${label}
    <input type="number" min=${minimum} max=${maximum} step=${step} placeholder=${limit.default === null ? nothing : number(limit.default)}
      title=${range} .value=${live(String(value))} @input=${set}></label>`;
}

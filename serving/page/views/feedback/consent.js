/** Whether the article and what is said of it may train models: asked only where the server keeps texts. */
import { html, nothing } from "../../vendor/lit-html/lit-html.js";
import { live } from "../../vendor/lit-html/directives/live.js";
import { allow } from "../../feedback/rating.js";
import { state } from "../../state.js";
import { t } from "../../words.js";

export function consent() {
  if (!state.models?.feedback?.texts) return nothing;
  return html`<label class="check consent"><input type="checkbox" .checked=${live(state.consent)} @change=${(event) => allow(event.target.checked)}>
    <span>${t("consent")} <span class="hint">${t("consent_hint")}</span></span></label>`;
}

/** For those who would rather ask by a program. */
import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { state } from "../state.js";
import { t } from "../words.js";

const LINKS = [
  ["openapi.json", "programs_openapi"],
  ["v1/models", "programs_models"],
  ["readyz", "programs_ready"],
  ["v2", "programs_kserve"],
];

export function view() {
  const server = new URL("./", document.baseURI).href.replace(/\/$/, "");
  const one = `curl -s ${server}/v1/analyze -H 'Content-Type: application/json' \\\n  -d '{"title": "Harbour bridge to close", "text": "The old bridge over the harbour will close for repairs in June."}'`;
  const many = `curl -sNX POST ${server}/v1/analyze/batch -H 'Content-Type: application/x-ndjson' -T articles.ndjson`;
  const rate = `curl -s ${server}/v1/feedback -H 'Content-Type: application/json' \\\n  -d '{"prediction": "ID", "ratings": {"summary": {"stars": 4}, "category": {"right": true}}}'`;
  return html`<section class="paper prose">
    <h1>${t("programs_title")}</h1>
    <p>${t("programs_text")}</p>
    <pre tabindex="0"><code>${one}</code></pre>
    <p>${t("programs_many")}</p>
    <pre tabindex="0"><code>${many}</code></pre>
    ${state.models?.feedback?.keeps ? html`<p>${t("programs_rate")}</p><pre tabindex="0"><code>${rate}</code></pre>` : nothing}
    <p class="hint">${t("programs_key")}</p>
    <ul>${LINKS.map(([path, words]) => html`<li><a href=${path}>${path}</a>: ${t(words)}</li>`)}</ul>
  </section>`;
}

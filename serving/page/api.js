/** Asks the server that the page came from; its address is the page's own, whatever path a proxy put it under. */
import { change, state } from "./state.js";
import { size, t } from "./words.js";

const base = new URL("./", document.baseURI);

/** Why there is no answer. `kind` is the last part of the problem's type, such as "busy"; "away" without any answer. */
export class Problem extends Error {
  constructor(kind, detail, { status = 0, retryAfterMs = null, errors = [] } = {}) {
    super(detail);
    Object.assign(this, { kind, status, retryAfterMs, errors });
  }

  /** Whether the same question may be answered later. */
  get passes() {
    return ["busy", "limited", "away"].includes(this.kind);
  }
}

/**
 * Send a request.
 *
 * @returns {Promise<Response>} an answer of 200
 * @throws {Problem} any other answer, or none
 */
export async function send(path, { method = "GET", body, type, signal, accept, token } = {}) {
  const headers = {};
  if (token) headers["Idempotency-Key"] = token;
  if (type) headers["Content-Type"] = type;
  if (accept) headers.Accept = accept;
  if (state.key) headers.Authorization = `Bearer ${state.key}`;
  let response;
  try {
    // What carries a key of its own is small, and goes on when the page is left.
    const keepalive = Boolean(token);
    response = await fetch(new URL(path, base), { method, body, headers, signal, keepalive, credentials: "same-origin", cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("away", t("problem_away"));
  }
  if (response.ok) return response;
  throw await problemOf(response);
}

async function problemOf(response) {
  let found = {};
  try {
    found = await response.json();
  } catch {
    // Of a proxy: it has no words of ours.
  }
  const { status } = response;
  const kind = found.type?.split("/").at(-1) ?? ([502, 503, 504].includes(status) ? "away" : "unknown");
  if (kind === "unauthenticated") change({ wantsKey: true });
  const details = (found.errors ?? []).map((one) => one.detail);
  const detail = details.length ? details.join("; ") : plain(found.detail ?? t("problem_unknown", { status: String(status) }));
  return new Problem(kind, detail, { status, retryAfterMs: found.retry_after_ms ?? null, errors: found.errors ?? [] });
}

/** What a model says of an article, without the word that is for programs. */
export const plain = (detail) => detail.replace(/^bad input: /, "");

/** Send a JSON document and read one. */
export async function ask(path, document, { signal, token } = {}) {
  const response = await send(path, { method: "POST", body: JSON.stringify(document), type: "application/json", signal, token });
  return response.json();
}

/** Read a JSON document. */
export const read = async (path, options = {}) => (await send(path, options)).json();

/** Why a file cannot be sent; empty if it can. */
export function whyTooLarge(file) {
  const limit = state.models?.limits.max_file_bytes ?? 16 * 2 ** 20;
  return file.size > limit ? t("problem_too_large", { size: size(file.size), limit: size(limit) }) : "";
}

/** Send a file as it is, and read what the server found in it. */
export async function upload(path, file, { signal } = {}) {
  const where = `${path}?name=${encodeURIComponent(file.name.slice(-120).toWellFormed())}`;
  const response = await send(where, { method: "POST", body: file, type: "application/octet-stream", signal });
  return response.json();
}

/**
 * Send lines of JSON, and call `onLine` with each line of the answer as it comes.
 *
 * @throws {Problem} no answer, or one that breaks off
 */
export async function stream(path, documents, onLine, { signal } = {}) {
  const body = documents.map((one) => `${JSON.stringify(one)}\n`).join("");
  const response = await send(path, { method: "POST", body, type: "application/x-ndjson", signal });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      lines.filter(Boolean).forEach((line) => onLine(JSON.parse(line)));
    }
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("away", t("problem_away"));
  }
}

/** Save bytes or text as a file of the reader's. */
export function saveFile(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

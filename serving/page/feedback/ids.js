/** Random names: of this browser, of what it sends; and whose a rating is. */
const RATER = "infolens.rater";
const BYTES = 16;

/** 22 characters of 128 random bits. (`crypto.randomUUID` is only there under https.) */
export function makeToken() {
  const bytes = crypto.getRandomValues(new Uint8Array(BYTES));
  return btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

let found = "";

/** A random name of this browser's user, so that of his ratings of an answer the latest counts. It says nothing of him. */
export function rater() {
  try {
    found = localStorage.getItem(RATER) || found || `page-${makeToken()}`;
    localStorage.setItem(RATER, found);
  } catch {
    found ||= `page-${makeToken()}`; // a browser that keeps nothing: the name lasts as long as this tab
  }
  return found;
}

/**
 * A mark of a key, so that only tabs with the same one send what was said with it; empty without a key. The key
 * itself is kept in no database, and 32 bits (FNV-1a, draft-eastlake-fnv) do not tell it.
 */
export function owner(key) {
  let hash = 0x811c9dc5;
  for (const character of key) hash = Math.imul(hash ^ character.codePointAt(0), 0x01000193) >>> 0;
  return key && hash;
}

/**
 * A table and its answers, kept in this browser (IndexedDB), so that a reload loses nothing. Each tab has its own; those of
 * tabs that were closed go after two days.
 */
const TABLES = "tables";
const ANSWERS = "answers";
const KEPT_MS = 2 * 24 * 3600 * 1000;
const tab = tabId();
let opened = null;

function tabId() {
  const name = "infolens.tab";
  const fresh = `${Date.now()}.${Math.random()}`;
  try {
    const found = sessionStorage.getItem(name) ?? fresh;
    sessionStorage.setItem(name, found);
    return found;
  } catch {
    return fresh;
  }
}

function database() {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open("infolens", 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(TABLES);
      request.result.createObjectStore(ANSWERS);
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return opened;
}

/** Run `work` on both stores; what it returns is the result of its request, or nothing. */
async function within(mode, work) {
  const found = await database();
  return new Promise((resolve, reject) => {
    const transaction = found.transaction([TABLES, ANSWERS], mode);
    const request = work(transaction.objectStore(TABLES), transaction.objectStore(ANSWERS));
    transaction.oncomplete = () => resolve(request?.result);
    transaction.onerror = () => reject(transaction.error);
    transaction.onabort = () => reject(transaction.error);
  });
}

/** Browsers that keep nothing (private windows) must not stop the work. */
const quietly = (promise) => promise.catch(() => undefined);

const rowsOf = (one) => IDBKeyRange.bound([one], [one, []]);

/** Keep a table in the place of the one before. */
export const keepTable = (table) =>
  quietly(within("readwrite", (tables, answers) => {
    answers.delete(rowsOf(tab));
    tables.put({ ...table, keptMs: Date.now() }, [tab, "table"]);
  }));

/** Keep how its work stands: small, and changed often. */
export const keepProgress = (progress) =>
  quietly(within("readwrite", (tables) => void tables.put(progress, [tab, "progress"])));

/** Keep some answers, by the numbers of their rows. */
export const keepAnswers = (entries) =>
  quietly(within("readwrite", (_, answers) => entries.forEach(([row, answer]) => answers.put(answer, [tab, row]))));

/** Remove the answers to some rows. */
export const forgetAnswers = (rows) =>
  quietly(within("readwrite", (_, answers) => rows.forEach((row) => answers.delete([tab, row]))));

/** Remove all of a tab. */
export const forget = (one = tab) =>
  quietly(within("readwrite", (tables, answers) => {
    tables.delete(rowsOf(one));
    answers.delete(rowsOf(one));
  }));

/** The table, its progress and its answers by row; null where none is kept. */
export async function restoreTable() {
  const get = (read) => quietly(within("readonly", read));
  await forgetOld(get);
  const table = await get((tables) => tables.get([tab, "table"]));
  if (!table) return null;
  const progress = await get((tables) => tables.get([tab, "progress"]));
  const keys = (await get((_, answers) => answers.getAllKeys(rowsOf(tab)))) ?? [];
  const found = (await get((_, answers) => answers.getAll(rowsOf(tab)))) ?? [];
  return { table, progress: progress ?? {}, answers: new Map(keys.map(([, row], number) => [row, found[number]])) };
}

async function forgetOld(get) {
  const keys = ((await get((tables) => tables.getAllKeys())) ?? []).filter(([, what]) => what === "table");
  for (const key of keys) {
    const found = await get((tables) => tables.get(key));
    if (key[0] !== tab && !(Date.now() - found?.keptMs < KEPT_MS)) await forget(key[0]);
  }
}

/**
 * What waits to be sent, kept in this browser (IndexedDB) until the server has it; in memory where a browser keeps nothing.
 * All tabs see the same.
 */
const ENTRIES = "entries";

/** Two servers below different paths of one address have nothing in common. */
export const SCOPE = `infolens.outbox ${new URL("./", document.baseURI).pathname}`;

let opened = null;
let memory = null;

function database() {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(SCOPE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(ENTRIES, { keyPath: "number" });
    request.onsuccess = () => {
      const found = request.result;
      found.onclose = () => (opened = null); // the reader has removed what sites keep
      resolve(found);
    };
    request.onerror = () => reject(request.error);
  });
  return opened;
}

async function within(mode, work) {
  const found = await database();
  return new Promise((resolve, reject) => {
    // What is said to be kept has reached the disk.
    const transaction = found.transaction(ENTRIES, mode, { durability: "strict" });
    const store = transaction.objectStore(ENTRIES);
    let result;
    const request = store.getAll();
    request.onsuccess = () => {
      result = work(request.result, store);
    };
    transaction.oncomplete = () => resolve(result);
    transaction.onerror = () => reject(transaction.error);
    transaction.onabort = () => reject(transaction.error);
  });
}

/** All entries, the oldest first. */
export async function entries() {
  if (memory) return memory;
  try {
    return await within("readonly", (found) => found);
  } catch {
    return [];
  }
}

/**
 * Change entries, all at once or not at all.
 *
 * @param {(entries: object[]) => object[]} work returns what there shall be, the same objects where nothing changed; one
 *   without a number is added at the end
 */
export async function edit(work) {
  if (!memory) {
    try {
      await within("readwrite", (before, store) => {
        const after = numbered(work([...before]));
        const staying = new Set(after.map((one) => one.number));
        before.filter((one) => !staying.has(one.number)).forEach((one) => store.delete(one.number));
        after.filter((one) => !before.includes(one)).forEach((one) => store.put(one));
      });
      return;
    } catch {
      memory = []; // no room, or a browser that keeps nothing: from here on this tab remembers
    }
  }
  memory = numbered(work([...memory]));
}

function numbered(entries) {
  let last = Math.max(0, ...entries.map((one) => one.number ?? 0));
  return entries.map((one) => (one.number ? one : { ...one, number: (last += 1) }));
}

/**
 * Places in a text. The server counts characters as code points, JavaScript as UTF-16 units: an emoji is one there and
 * two here.
 */

/** A function that turns a place in code points into one in UTF-16 units. */
export function places(text) {
  if (!/[\ud800-\udbff]/.test(text)) return (point) => Math.min(Math.max(point, 0), text.length);
  const starts = [];
  let unit = 0;
  for (const character of text) {
    starts.push(unit);
    unit += character.length;
  }
  starts.push(unit);
  return (point) => starts[Math.min(Math.max(point, 0), starts.length - 1)];
}

/**
 * Cut a text where any of its marks begins or ends.
 *
 * @param {string} text
 * @param {{start: number, end: number}[]} marks in UTF-16 units; they may overlap
 * @returns {{text: string, marks: object[]}[]} the pieces in order, each with the marks that cover it
 */
export function pieces(text, marks) {
  const cuts = new Set([0, text.length]);
  for (const { start, end } of marks) {
    cuts.add(start);
    cuts.add(end);
  }
  const sorted = [...cuts].sort((one, other) => one - other);
  const found = [];
  for (let number = 0; number + 1 < sorted.length; number += 1) {
    const [start, end] = [sorted[number], sorted[number + 1]];
    const over = marks.filter((mark) => mark.start <= start && end <= mark.end);
    found.push({ text: text.slice(start, end), marks: over });
  }
  return found;
}

/**
 * Where the quoted sentences stand in a summary.
 *
 * @param {string} summary
 * @param {{text: string}[]} quotes in the order of the summary; `text` is what the article says there
 * @returns {{start: number, end: number, quote: number}[]} in UTF-16 units of the summary
 */
export function findQuotes(summary, quotes) {
  const found = [];
  let from = 0;
  quotes.forEach(({ text }, quote) => {
    const wanted = text.trim();
    const start = wanted ? summary.indexOf(wanted, from) : -1;
    if (start < 0) return;
    from = start + wanted.length;
    found.push({ start, end: from, quote });
  });
  return found;
}

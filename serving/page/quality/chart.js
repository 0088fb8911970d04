/**
 * Charts: `<trend-chart>` draws its `figures` with uPlot, in the colours of the style sheet, and says beneath it what the
 * pointer is on. Whoever cannot see it has the same in a table.
 */
const { uPlot } = globalThis;
const HEIGHT_PX = 190;
const LOW_HEIGHT_PX = 110;
/** With more values a point and a whisker each would be all that one sees. */
const CROWDED = 120;
const FONT = '12px system-ui, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif';

/**
 * What a chart shows. All lists are as long as `labels`; null stands for nothing.
 *
 * @typedef {object} Figures
 * @property {string} name what it is, in a sentence
 * @property {string[]} labels along the x axis
 * @property {string[]} says in words, by place
 * @property {(number|null)[]} value
 * @property {(number|null)[]} [low] the lower ends of the intervals
 * @property {(number|null)[]} [high]
 * @property {number[]} [all] bars: what `value` is a part of
 * @property {number|null} [bar] a level to be passed
 * @property {[number, number]} range of the y axis
 * @property {(value: number) => string} write
 */
class TrendChart extends HTMLElement {
  #figures = null;
  #plot = null;
  #colours = {};
  #place = document.createElement("div");
  #words = document.createElement("p");
  #watcher = new ResizeObserver(() => this.#fit());

  set figures(figures) {
    const kind = this.#figures && Boolean(this.#figures.all) !== Boolean(figures.all);
    this.#figures = figures;
    if (kind) this.#remove();
    this.#draw();
  }

  connectedCallback() {
    this.#words.className = "readout";
    this.#words.setAttribute("aria-hidden", "true");
    this.#place.setAttribute("role", "img");
    this.replaceChildren(this.#place, this.#words);
    this.#watcher.observe(this);
    charts.add(this);
    this.#draw();
  }

  disconnectedCallback() {
    this.#watcher.disconnect();
    charts.delete(this);
    this.#remove();
  }

  /** Draw anew in the colours that hold now. */
  recolour() {
    this.#readColours();
    this.#plot?.redraw(false, true);
  }

  #remove() {
    this.#plot?.destroy();
    this.#plot = null;
  }

  #fit() {
    if (!this.#plot) this.#draw();
    else if (this.clientWidth && this.clientWidth !== this.#plot.width) {
      this.#plot.setSize({ width: this.clientWidth, height: this.#plot.height });
    }
  }

  #draw() {
    if (!this.#figures || !this.isConnected || !this.clientWidth) return;
    const { name, value, low, high, all } = this.#figures;
    this.#place.setAttribute("aria-label", name);
    const data = [value.map((_, index) => index), ...(all ? [all, value] : [high, low, value])];
    if (this.#plot) this.#plot.setData(data);
    else {
      this.#readColours();
      this.#plot = new uPlot(all ? this.#bars() : this.#trend(), data, this.#place);
    }
    this.#say(this.#plot.cursor.idx);
  }

  #readColours() {
    const probe = this.appendChild(document.createElement("i"));
    for (const name of ["value", "reach", "all", "goal", "axis", "grid", "paper"]) {
      probe.className = `ink-${name}`;
      this.#colours[name] = getComputedStyle(probe).color;
    }
    probe.remove();
  }

  #say(index) {
    const { says, labels } = this.#figures;
    this.#words.textContent = says[index ?? labels.length - 1] ?? "";
  }

  #common(height) {
    const axis = { stroke: () => this.#colours.axis, font: FONT, ticks: { show: false } };
    return {
      width: this.clientWidth,
      height,
      legend: { show: false },
      padding: [8, 8, 0, 0],
      scales: {
        x: { time: false, range: () => [-0.5, this.#figures.labels.length - 0.5] },
        y: { range: () => this.#figures.range },
      },
      axes: [
        {
          ...axis,
          size: 26,
          space: 76,
          incrs: [1, 2, 5, 7, 10, 14, 20, 30, 50, 60, 90],
          grid: { show: false },
          values: (_, splits) => splits.map((index) => this.#figures.labels[index] ?? ""),
        },
        {
          ...axis,
          size: 48,
          space: 34,
          grid: { stroke: () => this.#colours.grid, width: 1 },
          values: (_, splits) => splits.map((value) => this.#figures.write(value)),
        },
      ],
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 9 } },
      hooks: { setCursor: [(plot) => this.#say(plot.cursor.idx)] },
    };
  }

  #trend() {
    const edge = { stroke: "transparent", width: 0, points: { show: false } };
    const common = this.#common(HEIGHT_PX);
    return {
      ...common,
      series: [
        {},
        edge,
        edge,
        {
          stroke: () => this.#colours.value,
          width: 2,
          points: { show: () => this.#figures.labels.length <= CROWDED, size: 6, stroke: () => this.#colours.value, fill: () => this.#colours.value },
        },
      ],
      bands: [{ series: [1, 2], fill: () => this.#colours.reach }],
      hooks: { ...common.hooks, drawSeries: [(plot, series) => series === 2 && this.#lines(plot)] },
    };
  }

  #bars() {
    const bar = (name) => ({
      fill: () => this.#colours[name],
      width: 0,
      points: { show: false },
      paths: uPlot.paths.bars({ size: [0.75, 34] }),
    });
    return { ...this.#common(LOW_HEIGHT_PX), series: [{}, bar("all"), bar("value")] };
  }

  /** The level to be passed; and the intervals of values that have no neighbour, where a band has no width. */
  #lines(plot) {
    const { low, high, value, bar } = this.#figures;
    const { ctx, bbox } = plot;
    const y = (one) => plot.valToPos(one, "y", true);
    ctx.save();
    ctx.lineWidth = 2 * uPlot.pxRatio;
    ctx.strokeStyle = value.length > CROWDED ? this.#colours.reach : this.#colours.value;
    value.forEach((one, index) => {
      if (one === null || (value[index - 1] ?? null) !== null || (value[index + 1] ?? null) !== null) return;
      const x = plot.valToPos(index, "x", true);
      ctx.beginPath();
      ctx.moveTo(x, y(low[index]));
      ctx.lineTo(x, y(high[index]));
      ctx.stroke();
    });
    if (bar !== null && bar !== undefined) {
      ctx.strokeStyle = this.#colours.goal;
      ctx.setLineDash([6 * uPlot.pxRatio, 5 * uPlot.pxRatio]);
      ctx.beginPath();
      ctx.moveTo(bbox.left, y(bar));
      ctx.lineTo(bbox.left + bbox.width, y(bar));
      ctx.stroke();
    }
    ctx.restore();
  }
}

const charts = new Set();
customElements.define("trend-chart", TrendChart);

// A picture keeps its colours until it is drawn again: for the dark, and for paper.
for (const query of ["(prefers-color-scheme: dark)", "print"]) {
  matchMedia(query).addEventListener("change", () => charts.forEach((one) => one.recolour()));
}

/** The range of a chart that shows all of its intervals and its bar, on whole steps of the scale, and is never too high a zoom. */
export function rangeOf(scale, lows, highs, bar = null) {
  const there = [...lows, ...highs, bar].filter((one) => one !== null && one !== undefined);
  if (!there.length) return [scale.from, scale.to];
  const step = scale.leastSpan / 2;
  let low = Math.max(scale.from, Math.floor(Math.min(...there) / step) * step);
  let high = Math.min(scale.to, Math.ceil(Math.max(...there) / step) * step);
  while (high - low < 2 * scale.leastSpan) {
    const before = high - low;
    low = Math.max(scale.from, low - step);
    high = Math.min(scale.to, high + step);
    if (high - low === before) break;
  }
  return [low, high];
}

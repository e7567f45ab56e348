// A spectrum with lines, sky and template, and its posterior with peaks to click.

import uPlot from "uplot";
import * as api from "./api";
import { colour, h, number, tell } from "./dom";

export interface Chosen { class: string; z: number }

// Strong lines of the night sky and bands of the atmosphere, vacuum Å.
const SKY = [5578.9, 6302.0, 6365.5, 7246.0, 7278.3, 7318.3, 7342.9, 7796.3, 7823.5, 7915.9, 7966.8,
  7995.6, 8346.9, 8401.8, 8432.5, 8467.4, 8507.2, 8829.5, 8887.9, 8921.0, 8960.6, 9315.8, 9378.2, 9442.2];
const BANDS: [number, number, string][] = [
  [6868, 6950, "B"], [7168, 7394, "H₂O"], [7594, 7705, "A"], [8125, 8350, "H₂O"], [9300, 9700, "H₂O"],
  [11130, 11530, "H₂O"], [13450, 14600, "H₂O"], [18000, 19500, "H₂O"],
];
const CLASSES: [string, string][] = [["GALAXY", "--accent"], ["QSO", "--warm"], ["STAR", "--green"]];

export function smooth(v: (number | null)[], error: (number | null)[], width: number): (number | null)[] {
  if (width <= 1) return v;
  const half = Math.floor(width / 2);
  return v.map((_, i) => {
    let sum = 0, weight = 0;
    for (let k = Math.max(0, i - half); k <= Math.min(v.length - 1, i + half); k++) {
      const x = v[k], e = error[k];
      if (x === null || e === null || e === undefined) continue;
      sum += x / (e * e);
      weight += 1 / (e * e);
    }
    return weight > 0 ? sum / weight : null;
  });
}

export class SpectrumView {
  readonly element = h("div", { class: "spectrum" });
  private main = h("div", { role: "img", "aria-label": "spectrum; drag to zoom, wheel to zoom, double click for all" });
  private small = h("div", { role: "img", "aria-label": "probability of redshift; click a peak" });
  private list = h("div", {});
  private plot: uPlot | null = null;
  private pz: uPlot | null = null;
  private range: [number, number] | null = null;
  private templates = new Map<string, (number | null)[]>();
  shown = { error: true, template: true, lines: true, sky: true, smoothing: 1 };
  chosen: Chosen;
  index = 0;
  marking: string | null = null;

  constructor(
    private item: api.Spectrum,
    private row: number,
    private lines: [string, number, string][],
    given: Chosen | null,
    private chose: (c: Chosen) => void,
  ) {
    const best = item.solutions[0];
    this.chosen = given ?? (best ? { class: best.class, z: best.z } : { class: "GALAXY", z: 0 });
    const near = item.solutions.findIndex((s) => s.class === this.chosen.class && Math.abs(s.z - this.chosen.z) < 2e-3);
    this.index = near;
    if (best) this.templates.set(this.key(best), item.template);
    this.element.append(this.main, h("div", { class: "below" }, this.small, this.list));
    new ResizeObserver(() => this.resize()).observe(this.element);
  }

  private key(c: Chosen): string { return `${c.class} ${c.z.toFixed(6)}`; }

  choose(c: Chosen, index = -1): void {
    this.chosen = c;
    this.index = index;
    this.chose(c);
    this.redraw();
    if (!this.templates.has(this.key(c))) void this.fetch(c);
  }

  private async fetch(c: Chosen): Promise<void> {
    try {
      this.templates.set(this.key(c), await api.template(this.row, c.class, c.z));
      if (this.key(c) === this.key(this.chosen)) this.redraw();
    } catch (e) { tell((e as Error).message, true); }
  }

  next(step: number): void {
    const all = this.item.solutions;
    if (!all.length) return;
    const i = (this.index + step + all.length) % all.length;
    this.choose({ class: all[i].class, z: all[i].z }, i);
  }

  toggle(what: "error" | "template" | "lines" | "sky"): void {
    this.shown[what] = !this.shown[what];
    this.redraw();
  }

  smoothing(width: number): void { this.shown.smoothing = width; this.redraw(); }
  reset(): void { this.range = null; this.redraw(); }

  zoom(factor: number, at = 0.5): void {
    const { wave } = this.item;
    const [a, b] = this.range ?? [wave[0], wave[wave.length - 1]];
    const middle = a + (b - a) * at;
    const wide = Math.min((b - a) * factor, wave[wave.length - 1] - wave[0]);
    const low = Math.max(wave[0], Math.min(middle - wide * at, wave[wave.length - 1] - wide));
    this.range = [low, low + wide];
    this.redraw();
  }

  pan(share: number): void {
    const { wave } = this.item;
    const [a, b] = this.range ?? [wave[0], wave[wave.length - 1]];
    const step = Math.max(wave[0] - a, Math.min((b - a) * share, wave[wave.length - 1] - b));
    this.range = [a + step, b + step];
    this.redraw();
  }

  redraw(): void { this.draw(); }
  resize(): void {
    const w = this.main.clientWidth, s = this.small.clientWidth;
    if (this.plot && w > 50 && Math.abs(this.plot.width - w) > 2) this.plot.setSize({ width: w, height: this.plot.height });
    if (this.pz && s > 50 && Math.abs(this.pz.width - s) > 2) this.pz.setSize({ width: s, height: this.pz.height });
  }

  private limits(flux: (number | null)[]): [number, number] {
    const { wave } = this.item;
    const [a, b] = this.range ?? [wave[0], wave[wave.length - 1]];
    const inside = flux.filter((f, i): f is number => f !== null && wave[i] >= a && wave[i] <= b).sort((x, y) => x - y);
    if (!inside.length) return [0, 1];
    const at = (q: number) => inside[Math.floor((inside.length - 1) * q)];
    const [low, high] = [Math.min(0, at(0.01)), at(0.995)];
    const room = (high - low) * 0.12 || 1;
    return [low - room * 0.5, high + room * 2];
  }

  private draw(): void {
    const { item } = this;
    const width = this.main.clientWidth || 700;
    const flux = smooth(item.flux, item.error, this.shown.smoothing);
    const template = this.templates.get(this.key(this.chosen)) ?? item.wave.map(() => null);
    const [ink, faint, accent, rule, warm] = ["--ink", "--faint", "--accent", "--rule", "--warm"].map(colour);
    const axis = { stroke: faint, grid: { stroke: rule, width: 0.5 }, ticks: { stroke: rule } };
    const [low, high] = this.limits(flux);
    const options: uPlot.Options = {
      width, height: Math.max(230, Math.min(380, innerHeight * 0.4)),
      legend: { show: false },
      cursor: { drag: { x: true, y: false, setScale: false }, points: { show: false } },
      scales: {
        x: { time: false, range: () => this.range ?? [item.wave[0], item.wave[item.wave.length - 1]] },
        y: { range: () => [low, high] },
      },
      axes: [
        { ...axis, label: "vacuum wavelength / Å", labelSize: 18, size: 34 },
        { ...axis, label: item.unit ? `flux / ${item.unit.slice(0, 40)}` : "flux", labelSize: 18, size: 56,
          values: (_u, v) => v.map((t) => number(t, 2)) },
      ],
      series: [
        {},
        { stroke: ink, width: 1, spanGaps: false, points: { show: false } },
        { stroke: faint, width: 0.7, show: this.shown.error, points: { show: false } },
        { stroke: warm, width: 1.6, show: this.shown.template, points: { show: false } },
      ],
      hooks: {
        drawClear: [(u) => this.behind(u, rule)],
        draw: [(u) => this.marks(u, accent, warm)],
        setSelect: [(u) => {
          if (u.select.width < 4) return;
          this.range = [u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x")];
          this.redraw();
        }],
      },
    };
    this.plot?.destroy();
    const data = [item.wave, flux, item.error, template] as unknown as uPlot.AlignedData;
    this.plot = new uPlot(options, data, this.main);
    const over = this.plot.over;
    over.addEventListener("wheel", (e) => {
      e.preventDefault();
      this.zoom(e.deltaY > 0 ? 1.3 : 1 / 1.3, e.offsetX / over.clientWidth);
    }, { passive: false });
    over.addEventListener("dblclick", () => this.reset());
    over.addEventListener("click", (e) => {
      if (!this.marking || !this.plot) return;
      const wave = this.plot.posToVal(e.offsetX, "x");
      const line = this.lines.find(([name, rest]) => `${name} ${rest.toFixed(0)}` === this.marking);
      this.marking = null;
      if (line) this.choose({ class: this.chosen.class, z: Number((wave / line[1] - 1).toFixed(6)) });
    });
    this.drawPosterior(axis);
    this.drawList();
  }

  /** Bands of the atmosphere, lines of the sky, and where pixels are bad. */
  private behind(u: uPlot, rule: string): void {
    const c = u.ctx, { top, height } = u.bbox;
    c.save();
    if (this.shown.sky) {
      c.fillStyle = rule;
      c.globalAlpha = 0.45;
      const x = (w: number) => u.valToPos(w, "x", true);
      const inside = (w: number) => w > u.scales.x.min! && w < u.scales.x.max!;
      for (const [a, b, name] of BANDS) {
        if (!inside(a) && !inside(b)) continue;
        const from = Math.max(x(a), u.bbox.left), to = Math.min(x(b), u.bbox.left + u.bbox.width);
        c.fillRect(from, top, to - from, height);
        c.fillText(`⊕ ${name}`, from + 2, top + height - 4);
      }
      for (const w of SKY) if (inside(w)) c.fillRect(x(w) - 1, top, 2, height);
    }
    const { wave, flux } = this.item;
    c.globalAlpha = 0.8;
    c.fillStyle = colour("--warm");
    let from: number | null = null;
    flux.forEach((f, i) => {
      if (f === null && from === null) from = i;
      if ((f !== null || i === flux.length - 1) && from !== null) {
        const a = u.valToPos(wave[from], "x", true), b = u.valToPos(wave[Math.max(i - 1, from)], "x", true);
        const left = Math.max(a, u.bbox.left), right = Math.min(Math.max(b, a + 1), u.bbox.left + u.bbox.width);
        if (right > left) c.fillRect(left, top, right - left, 3 * devicePixelRatio);
        from = null;
      }
    });
    c.restore();
  }

  private marks(u: uPlot, emission: string, absorption: string): void {
    if (!this.shown.lines) return;
    const c = u.ctx, { top, height, left, width } = u.bbox;
    c.save();
    c.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
    const ends = [-1e9, -1e9, -1e9, -1e9];
    const star = this.chosen.class === "STAR", qso = this.chosen.class === "QSO";
    const strong = new Set(this.item.lines.filter((l) => l.secure).map((l) => l.rest.toFixed(0)));
    for (const [name, rest, look] of this.lines) {
      if ((star && look === "emission") || (qso && look === "absorption")) continue;
      const x = u.valToPos(rest * (1 + this.chosen.z), "x", true);
      if (x < left || x > left + width) continue;
      c.strokeStyle = c.fillStyle = look === "absorption" ? absorption : emission;
      c.globalAlpha = strong.has(rest.toFixed(0)) ? 1 : 0.6;
      c.lineWidth = devicePixelRatio * (strong.has(rest.toFixed(0)) ? 1.4 : 0.8);
      c.setLineDash(look === "absorption" ? [4, 4] : []);
      c.beginPath();
      c.moveTo(x, top);
      c.lineTo(x, top + height);
      c.stroke();
      const wide = c.measureText(name).width + 6;
      const level = ends.findIndex((e) => e < x);
      if (level < 0) continue;
      ends[level] = x + wide;
      c.fillText(name, x + 3, top + (12 + 13 * level) * devicePixelRatio);
    }
    c.restore();
  }

  private drawPosterior(axis: object): void {
    const { item } = this;
    this.pz?.destroy();
    this.pz = null;
    if (!item.grid.length) { this.small.textContent = "no posterior: no redshift could be measured"; return; }
    this.small.textContent = "";
    // Peaks are narrower than a pixel: zero is drawn as the floor of a logarithmic axis.
    const floor = 1e-5;
    const curves = CLASSES.map(([c]) => (item.posterior[c] ?? []).map((v) => Math.max(v, floor)));
    const sorted = item.grid.map((_, i) => i).sort((a, b) => item.grid[a] - item.grid[b]);
    const x = sorted.map((i) => item.grid[i]);
    const likely = x.filter((_, i) => curves.some((c) => c[sorted[i]] > 0.03)).map(Math.expm1);
    const top = Math.max(...item.solutions.map((s) => s.z), ...likely.slice(-1), 0.5);
    const ceiling = Math.log1p(Math.min(20, top * 1.6 + 0.3));
    this.pz = new uPlot({
      width: this.small.clientWidth || 360, height: 150,
      legend: { show: false },
      cursor: { drag: { x: false, y: false }, points: { show: false } },
      scales: { x: { time: false, range: () => [-0.01, ceiling] }, y: { distr: 3, range: () => [floor, 2] } },
      axes: [
        { ...axis, label: "redshift", labelSize: 16, size: 30,
          splits: () => [0, 0.1, 0.25, 0.5, 1, 1.5, 2, 3, 4, 5, 6, 8, 10, 15].map(Math.log1p).filter((v) => v < ceiling),
          values: (_u, v) => v.map((t) => number(Math.expm1(t), 2).replace(/\.?0+$/, "") || "0") },
        { ...axis, label: "p(z) / max", labelSize: 16, size: 44, values: (_u, v) => v.map((t) => (t === null ? "" : t.toExponential(0))) },
      ],
      series: [{}, ...CLASSES.map(([label, c]) => ({ label, stroke: colour(c), width: 1.2, points: { show: false } }))],
      hooks: { draw: [(u: uPlot) => {
        const c = u.ctx;
        item.solutions.forEach((s) => {
          const at = u.valToPos(Math.log1p(s.z), "x", true);
          const here = Math.abs(s.z - this.chosen.z) < 2e-3 && s.class === this.chosen.class;
          c.fillStyle = colour(here ? "--ink" : "--faint");
          c.beginPath();
          c.arc(at, u.bbox.top + 6, here ? 6 : 4, 0, 7);
          c.fill();
        });
        const at = u.valToPos(Math.log1p(this.chosen.z), "x", true);
        c.fillStyle = colour("--ink");
        c.fillRect(at - 0.5, u.bbox.top, 1, u.bbox.height);
      }] },
    }, [x, ...curves.map((v) => sorted.map((i) => v[i] ?? floor))] as uPlot.AlignedData, this.small);
    const over = this.pz.over;
    over.classList.add("peaks");
    over.addEventListener("click", (e) => {
      const at = (z: number) => this.pz!.valToPos(Math.log1p(z), "x");
      const near = item.solutions.map((s, i) => ({ i, d: Math.abs(at(s.z) - e.offsetX) })).sort((a, b) => a.d - b.d)[0];
      if (near && near.d < 14) {
        const s = item.solutions[near.i];
        this.choose({ class: s.class, z: s.z }, near.i);
      } else {
        this.choose({ class: this.chosen.class, z: Number(Math.expm1(this.pz!.posToVal(e.offsetX, "x")).toFixed(5)) });
      }
    });
  }

  private drawList(): void {
    const { item } = this;
    const head = h("tr", {}, ...["", "class", "z", "p", "line"].map((t) => h("th", { scope: "col" }, t)));
    const lines = item.solutions.map((s, i) => h("tr", { "aria-selected": String(i === this.index) },
      h("td", {}, h("button", { "aria-label": `solution ${i + 1}`, click: () => this.choose({ class: s.class, z: s.z }, i) }, String(i + 1))),
      h("td", {}, s.class), h("td", {}, s.z.toFixed(5)), h("td", {}, s.p.toFixed(3)), h("td", {}, s.line)));
    const table = h("table", { class: "solutions" }, h("caption", {}, "solutions, measured again now"), h("thead", {}, head), h("tbody", {}, ...lines));
    const found = item.lines.filter((l) => l.secure).sort((a, b) => Math.abs(b.snr ?? 0) - Math.abs(a.snr ?? 0)).slice(0, 8);
    const said = found.map((l) => `${l.name} ${number(l.snr, 1)}`).join(", ");
    const truth = item.truth ? h("details", {}, h("summary", {}, "what the file says"), `${item.truth[0]} at z = ${item.truth[1].toFixed(5)}`) : null;
    this.list.replaceChildren(table, said ? h("p", { class: "faint" }, `lines (S/N): ${said}`) : "", truth ?? "");
  }
}

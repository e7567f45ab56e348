// Counts of columns, in which a range is drawn to filter by it.

import * as api from "./api";
import { colour, h, tell } from "./dom";
import type { State } from "./state";

const MARGIN = { left: 46, right: 8, top: 6, bottom: 30 };

export function ticks([a, b]: [number, number], n: number): number[] {
  const step = 10 ** Math.floor(Math.log10((b - a) / n));
  const good = [1, 2, 5, 10].map((k) => k * step).find((s) => (b - a) / s <= n) ?? step * 10;
  const out: number[] = [];
  for (let v = Math.ceil(a / good) * good; v <= b + 1e-9 * good; v += good) out.push(Number(v.toPrecision(8)));
  return out;
}

export class Plots {
  readonly element = h("section", { class: "plots", "aria-label": "plots" });
  private canvas = h("canvas", {
    role: "img", "aria-label": "counts of the chosen columns; drag a range to filter by it", tabindex: 0,
  });
  private note = h("span", { class: "faint" });
  private plot: api.Plot | null = null;
  private drag: { from: [number, number]; to: [number, number] } | null = null;
  private x = h("select", { "aria-label": "horizontal axis" });
  private y = h("select", { "aria-label": "vertical axis" });

  constructor(
    private s: State,
    private filter: (f: api.Filter[]) => void,
    private pick: (row: number) => void,
    private changed: () => void,
  ) {
    const names = s.run.columns.filter((c) => c.number).map((c) => c.name);
    this.x.append(...names.map((n) => h("option", { value: n }, n)));
    this.y.append(h("option", { value: "" }, "(count)"), ...names.map((n) => h("option", { value: n }, n)));
    const choose = (x: string, y: string) => {
      s.plot = [x, y];
      this.changed();
      void this.refresh();
    };
    this.x.addEventListener("change", () => choose(this.x.value, this.y.value));
    this.y.addEventListener("change", () => choose(this.x.value, this.y.value));
    const shortcuts: [string, string, string][] = [
      ["z – S/N", "z", "snr_med"], ["p", "p_correct", ""], ["N(z)", "z", ""], ["sky", "ra", "dec"],
      ["familiarity", "familiarity", ""], ["embedding", "embedding_1", "embedding_2"],
    ];
    const usable = shortcuts.filter(([, a, b]) => names.includes(a) && (!b || names.includes(b)));
    const tabs = usable.map(([title, a, b]) => h("button", { click: () => choose(a, b) }, title));
    const bar = h("div", { class: "tabs" }, ...tabs, this.x, " × ", this.y, this.note);
    this.element.append(bar, this.canvas);
    this.canvas.addEventListener("pointerdown", (e) => {
      this.canvas.setPointerCapture(e.pointerId);
      this.drag = { from: [e.offsetX, e.offsetY], to: [e.offsetX, e.offsetY] };
    });
    this.canvas.addEventListener("pointermove", (e) => {
      if (this.drag) { this.drag.to = [e.offsetX, e.offsetY]; this.draw(); }
    });
    this.canvas.addEventListener("pointerup", () => this.drop());
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  async refresh(): Promise<void> {
    const [x, y] = this.s.plot;
    if (!x) return;
    this.x.value = x;
    this.y.value = y;
    try {
      this.plot = await api.plot(this.s.query, this.s.inspector, x, y);
      const n = this.plot.outside;
      this.note.textContent = n ? `${n} not shown` : "";
      this.note.title = "rows without a value, or far outside";
      this.draw();
    } catch (e) {
      tell((e as Error).message, true);
    }
  }

  private frame() {
    const w = this.canvas.clientWidth, hh = this.canvas.clientHeight;
    const p = this.plot!;
    const top = Math.max(1, ...p.counts);
    const y: [number, number] = p.y ?? [0, top];
    const inner = [w - MARGIN.left - MARGIN.right, hh - MARGIN.top - MARGIN.bottom];
    return {
      w, h: hh, y, top,
      px: (v: number) => MARGIN.left + ((v - p.x[0]) / (p.x[1] - p.x[0])) * inner[0],
      py: (v: number) => hh - MARGIN.bottom - ((v - y[0]) / (y[1] - y[0])) * inner[1],
      vx: (u: number) => p.x[0] + ((u - MARGIN.left) / inner[0]) * (p.x[1] - p.x[0]),
      vy: (u: number) => y[0] + ((hh - MARGIN.bottom - u) / inner[1]) * (y[1] - y[0]),
    };
  }

  draw(): void {
    const p = this.plot;
    if (!p || !this.canvas.clientWidth) return;
    const ratio = devicePixelRatio || 1;
    const f = this.frame();
    this.canvas.width = f.w * ratio;
    this.canvas.height = f.h * ratio;
    const c = this.canvas.getContext("2d")!;
    c.scale(ratio, ratio);
    c.font = "11px system-ui, sans-serif";
    const [ink, accent, rule] = ["--faint", "--accent", "--rule"].map(colour);
    const [nx, ny] = p.bins;
    c.fillStyle = accent;
    if (p.y === null) {
      for (let i = 0; i < nx; i++) {
        const a = f.px(p.x[0] + (i / nx) * (p.x[1] - p.x[0]));
        const b = f.px(p.x[0] + ((i + 1) / nx) * (p.x[1] - p.x[0]));
        const y = f.py(p.counts[i]);
        c.fillRect(a, y, Math.max(1, b - a - 0.5), f.h - MARGIN.bottom - y);
      }
    } else if (p.points) {
      c.globalAlpha = p.points.length > 500 ? 0.5 : 0.9;
      for (const [row, x, y] of p.points) {
        if (x === null || y === null) continue;
        if (x < p.x[0] || x > p.x[1] || y < p.y[0] || y > p.y[1]) continue;
        const here = row === this.s.row;
        c.fillStyle = here ? colour("--warm") : accent;
        c.fillRect(f.px(x) - (here ? 4 : 1.5), f.py(y) - (here ? 4 : 1.5), here ? 8 : 3, here ? 8 : 3);
      }
      c.globalAlpha = 1;
    } else {
      const cw = (f.px(p.x[1]) - f.px(p.x[0])) / nx, ch = (f.py(p.y[0]) - f.py(p.y[1])) / ny;
      for (let j = 0; j < ny; j++) for (let i = 0; i < nx; i++) {
        const n = p.counts[j * nx + i];
        if (!n) continue;
        c.globalAlpha = 0.15 + (0.85 * Math.log1p(n)) / Math.log1p(f.top);
        c.fillRect(MARGIN.left + i * cw, f.h - MARGIN.bottom - (j + 1) * ch, cw + 0.4, ch + 0.4);
      }
      c.globalAlpha = 1;
    }
    c.strokeStyle = rule;
    c.strokeRect(MARGIN.left, MARGIN.top, f.w - MARGIN.left - MARGIN.right, f.h - MARGIN.top - MARGIN.bottom);
    c.fillStyle = ink;
    c.textAlign = "center";
    for (const t of ticks(p.x, 7)) c.fillText(String(t), f.px(t), f.h - 16);
    c.fillText(this.s.plot[0], f.w / 2, f.h - 3);
    c.textAlign = "right";
    for (const t of ticks(f.y, 5)) c.fillText(String(t), MARGIN.left - 4, f.py(t) + 4);
    if (this.drag) {
      const { from: [a, b], to: [x, y] } = this.drag;
      c.strokeStyle = colour("--warm");
      const whole = p.y === null;
      c.strokeRect(Math.min(a, x), whole ? MARGIN.top : Math.min(b, y), Math.abs(x - a),
        whole ? f.h - MARGIN.top - MARGIN.bottom : Math.abs(y - b));
    }
  }

  private drop(): void {
    const d = this.drag, p = this.plot;
    this.drag = null;
    if (!d || !p) return;
    const f = this.frame();
    const wide = Math.abs(d.to[0] - d.from[0]);
    if (wide < 4) {
      const near = (p.points ?? [])
        .filter(([, x, y]) => x !== null && y !== null)
        .map(([row, x, y]) => ({ row, d: Math.hypot(f.px(x!) - d.to[0], f.py(y!) - d.to[1]) }))
        .sort((a, b) => a.d - b.d)[0];
      if (near && near.d < 12) this.pick(near.row);
      this.draw();
      return;
    }
    const range = (a: number, b: number) => ({ min: Math.min(a, b), max: Math.max(a, b) });
    const round = (v: number) => Number(v.toPrecision(6));
    const of = (column: string, r: { min: number; max: number }) =>
      ({ column, min: round(r.min), max: round(r.max) });
    const found = [of(this.s.plot[0], range(f.vx(d.from[0]), f.vx(d.to[0])))];
    if (p.y !== null) found.push(of(this.s.plot[1], range(f.vy(d.from[1]), f.vy(d.to[1]))));
    this.filter(found);
  }
}

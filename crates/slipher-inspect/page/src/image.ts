// Stamps of an image, and what mattered to the answer on it.

import * as api from "./api";
import { h, number, tell } from "./dom";

/** Values to 0…255 by an inverse hyperbolic sine between the noise and the bright end. */
function stretch(v: (number | null)[]): (x: number | null) => number {
  const good = v.filter((x): x is number => x !== null).sort((a, b) => a - b);
  if (!good.length) return () => 0;
  const at = (q: number) => good[Math.floor((good.length - 1) * q)];
  const middle = at(0.5);
  const noise = Math.max(1e-30, (at(0.84) - at(0.16)) / 2 || (at(1) - at(0)) / 10);
  const low = middle - 1.5 * noise;
  const f = (x: number) => Math.asinh((x - low) / (2 * noise));
  const top = f(Math.max(at(0.998), middle + 5 * noise));
  return (x) => (x === null ? 0 : Math.max(0, Math.min(255, (f(x) / top) * 255)));
}

function paint(width: number, height: number, rgb: (i: number) => [number, number, number], label: string): HTMLElement {
  const canvas = h("canvas", { width, height, role: "img", "aria-label": label });
  const c = canvas.getContext("2d")!;
  const data = c.createImageData(width, height);
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
    // The first row of a FITS image is the lowest.
    const to = ((height - 1 - y) * width + x) * 4;
    const [r, g, b] = rgb(y * width + x);
    data.data.set([r, g, b, 255], to);
  }
  c.putImageData(data, 0, 0);
  return h("figure", {}, canvas, h("figcaption", { class: "faint" }, label));
}

export function bars(answer: api.Answer[]): HTMLElement {
  const top = Math.max(1e-9, ...answer.map((a) => Math.abs(a.value)));
  const rows = answer.flatMap((a) => {
    const bar = h("div", { class: "bar1" });
    bar.style.width = `${(Math.abs(a.value) / Math.max(top, 1)) * 100}%`;
    return [h("span", {}, a.name), bar, h("span", {}, number(a.value, 3))];
  });
  return h("div", { class: "bars", role: "group", "aria-label": "answer of the model, measured again now" }, ...rows);
}

export class ImageView {
  readonly element = h("div", {});
  private stamps = h("div", { class: "stamps" });
  private mapped = false;

  constructor(private item: api.Image, private row: number) {
    const { width, height, bands, pixels, scale } = item;
    const n = width * height;
    const planes = bands.map((_, k) => pixels.slice(k * n, (k + 1) * n));
    const stretched = planes.map((p) => { const f = stretch(p); return p.map(f); });
    if (planes.length >= 3 && !bands.includes("difference")) {
      // The longest wavelength is red: bands are in the order of the file.
      const pick = planes.length === 3 ? [2, 1, 0] : [Math.min(3, planes.length - 1), 2, 1];
      this.stamps.append(paint(width, height, (i) => pick.map((k) => stretched[k][i]) as [number, number, number],
        pick.map((k) => bands[k] || `plane ${k}`).join(", ")));
    }
    stretched.forEach((p, k) => {
      const mark = (i: number): [number, number, number] =>
        planes[k][i] === null ? [150, 60, 20] : [p[i], p[i], p[i]];
      this.stamps.append(paint(width, height, mark, bands[k] || `plane ${k}`));
    });
    const size = `${width} × ${height} pixels${scale ? `, ${number(scale, 3)}″ each` : ""}; where there are no data: brown`;
    this.element.append(this.stamps, h("p", { class: "faint" }, size));
    if (item.answer.length) this.element.append(bars(item.answer));
    if (item.mappable) this.element.append(h("button", { click: () => void this.map() }, "what mattered (m)"));
  }

  async map(): Promise<void> {
    if (this.mapped || !this.item.mappable) return;
    this.mapped = true;
    try {
      const m = await api.map(this.row);
      const { width, height } = this.item;
      const top = Math.max(1e-9, ...m.values.map(Math.abs));
      const side = Math.min(width, height) * m.share;
      const [x0, y0] = [(width - side) / 2, (height - side) / 2];
      const value = (i: number) => {
        const x = Math.floor((((i % width) - x0) / side) * m.steps), y = Math.floor(((Math.floor(i / width) - y0) / side) * m.steps);
        return x < 0 || y < 0 || x >= m.steps || y >= m.steps ? null : m.values[y * m.steps + x] / top;
      };
      const rgb = (i: number): [number, number, number] => {
        const v = value(i);
        if (v === null) return [90, 90, 90];
        const w = (1 - Math.abs(v)) * 245;
        return v > 0 ? [w, w + (114 / 255) * (245 - w), w + (178 / 255) * (245 - w)] : [w + (213 / 255) * (245 - w), w + (94 / 255) * (245 - w), w];
      };
      this.stamps.append(paint(width, height, rgb, `occlusion: blue lowers ${m.of} (by ${number(top, 3)} at most), orange raises it`));
    } catch (e) { tell((e as Error).message, true); }
  }
}

// A light curve by band.

import uPlot from "uplot";
import type { Curve } from "./api";
import { colour, h, number } from "./dom";
import { bars } from "./image";

// Okabe and Ito's colours, from blue to red bands; shapes tell them apart as well.
const COLOURS = ["#56B4E9", "#009E73", "#D55E00", "#CC79A7", "#E69F00", "#0072B2", "#999999"];

export function curve(item: Curve): HTMLElement {
  const root = h("div", {});
  const bands = Object.keys(item.bands);
  const times = [...new Set(bands.flatMap((b) => item.bands[b].map((p) => p[0])))].sort((a, b) => a - b);
  const place = new Map(times.map((t, i) => [t, i]));
  const values = bands.map((b) => {
    const out: (number | null)[] = times.map(() => null);
    for (const [t, f] of item.bands[b]) out[place.get(t)!] = f;
    return out;
  });
  const box = h("div", { role: "img", "aria-label": `light curve in ${bands.join(", ")}` });
  const [faint, rule] = ["--faint", "--rule"].map(colour);
  const axis = { stroke: faint, grid: { stroke: rule, width: 0.5 }, ticks: { stroke: rule } };
  const draw = () => {
    box.replaceChildren();
    new uPlot({
      width: root.clientWidth || 700, height: 320,
      cursor: { drag: { x: true, y: false } },
      scales: { x: { time: false } },
      axes: [
        { ...axis, label: "MJD", labelSize: 16, size: 32 },
        { ...axis, label: `flux (zero point ${number(item.zero_point, 2)})`, labelSize: 16, size: 56 },
      ],
      series: [{ label: "MJD" }, ...bands.map((label, k) => ({
        label, stroke: COLOURS[k % COLOURS.length], width: 0, paths: () => null,
        points: { show: true, size: 6, fill: COLOURS[k % COLOURS.length] },
      }))],
      hooks: { draw: [(u: uPlot) => {
        const c = u.ctx;
        bands.forEach((b, k) => {
          if (!u.series[k + 1].show) return;
          c.strokeStyle = COLOURS[k % COLOURS.length];
          c.beginPath();
          for (const [t, f, e] of item.bands[b]) {
            const x = u.valToPos(t, "x", true);
            c.moveTo(x, u.valToPos(f - e, "y", true));
            c.lineTo(x, u.valToPos(f + e, "y", true));
          }
          c.stroke();
        });
      }] },
    }, [times, ...values] as uPlot.AlignedData, box);
  };
  root.append(box);
  if (item.answer.length) root.append(bars(item.answer));
  new ResizeObserver(draw).observe(root);
  return root;
}

// Figures zoom (wheel, drag a box, double click for all; + − 0 on the keyboard), tables sort by a
// click on a head. Without this script the page is as it was drawn.
"use strict";
(() => {
  const NS = document.querySelector("svg")?.namespaceURI;
  const label = (t) => (t !== 0 && (Math.abs(t) >= 1e5 || Math.abs(t) < 1e-3) ? t.toExponential(1).replace(/\.0e/, "e") : String(Number(t.toFixed(6))));
  const axis = ([lo, hi, log]) => {
    const f = log ? Math.log10 : (v) => v, g = log ? (v) => 10 ** v : (v) => v;
    return { lo: f(lo), hi: f(hi), f, g, log };
  };
  const ticks = (a) => {
    const out = [];
    if (a.log && a.hi - a.lo > 1) {
      for (let d = Math.ceil(a.lo - 1e-9); d <= a.hi + 1e-9; d++) out.push(10 ** d);
      return out;
    }
    const [lo, hi] = [a.g(a.lo), a.g(a.hi)];
    const rough = (hi - lo) / 5, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= rough) ?? rough;
    for (let k = Math.ceil(lo / step); k * step <= hi + 1e-9 * step; k++) out.push(k * step);
    return out;
  };
  for (const svg of document.querySelectorAll("svg[data-x]")) {
    const [x0, y1, w, h] = svg.dataset.frame.split(" ").map(Number);
    const whole = ["x", "y"].map((k) => axis(JSON.parse(svg.dataset[k])));
    let now = whole.map((a) => ({ ...a }));
    const body = svg.querySelector("g[clip-path]");
    const inner = document.createElementNS(NS, "g");
    inner.append(...body.childNodes);
    body.append(inner);
    inner.querySelectorAll("*").forEach((e) => e.setAttribute("vector-effect", "non-scaling-stroke"));
    svg.setAttribute("tabindex", "0");
    svg.style.touchAction = "pan-y";
    svg.style.userSelect = "none";
    const draw = () => {
      // Of the figure as it was drawn: where its left and lower edge and its size lie now.
      const k = now.map((a, i) => (whole[i].hi - whole[i].lo) / (a.hi - a.lo));
      const dx = x0 - k[0] * (x0 + ((now[0].lo - whole[0].lo) / (whole[0].hi - whole[0].lo)) * w);
      const dy = y1 + h - k[1] * (y1 + h - ((now[1].lo - whole[1].lo) / (whole[1].hi - whole[1].lo)) * h);
      inner.setAttribute("transform", `matrix(${k[0]} 0 0 ${k[1]} ${dx} ${dy})`);
      // Words and points keep their shape.
      for (const e of inner.querySelectorAll("text, circle")) {
        const [x, y] = e.tagName === "text" ? ["x", "y"] : ["cx", "cy"];
        const [a, b] = [Number(e.getAttribute(x)), Number(e.getAttribute(y))];
        e.dataset.own ??= e.getAttribute("transform") ?? "";
        e.setAttribute("transform", `translate(${a} ${b}) scale(${1 / k[0]} ${1 / k[1]}) translate(${-a} ${-b}) ${e.dataset.own}`);
      }
      svg.querySelectorAll(".tick").forEach((e) => e.remove());
      const add = (name, values, text) => {
        const e = document.createElementNS(NS, name);
        for (const [key, v] of Object.entries({ class: "tick", ...values })) e.setAttribute(key, v);
        if (text !== undefined) e.textContent = text;
        svg.append(e);
      };
      for (const t of ticks(now[0])) {
        const p = x0 + ((now[0].f(t) - now[0].lo) / (now[0].hi - now[0].lo)) * w;
        add("line", { x1: p, x2: p, y1: y1 + h, y2: y1 + h - 4, stroke: "#444" });
        add("text", { x: p, y: y1 + h + 14, "text-anchor": "middle", "font-size": 11 }, label(t));
      }
      for (const t of ticks(now[1])) {
        const p = y1 + h - ((now[1].f(t) - now[1].lo) / (now[1].hi - now[1].lo)) * h;
        add("line", { x1: x0, x2: x0 + 4, y1: p, y2: p, stroke: "#444" });
        add("text", { x: x0 - 5, y: p + 4, "text-anchor": "end", "font-size": 11 }, label(t));
      }
    };
    const place = (e) => {
      const m = svg.getScreenCTM().inverse();
      const p = new DOMPoint(e.clientX, e.clientY).matrixTransform(m);
      return [(p.x - x0) / w, 1 - (p.y - y1) / h];
    };
    const zoom = (factor, at) => {
      now = now.map((a, i) => {
        const wide = Math.min((a.hi - a.lo) * factor, whole[i].hi - whole[i].lo);
        const lo = a.lo + (a.hi - a.lo - wide) * at[i];
        const low = Math.max(whole[i].lo, Math.min(lo, whole[i].hi - wide));
        return { ...a, lo: low, hi: low + wide };
      });
      draw();
    };
    const all = () => { now = whole.map((a) => ({ ...a })); draw(); };
    svg.addEventListener("wheel", (e) => {
      const at = place(e);
      if (at.some((v) => v < 0 || v > 1) || !(e.ctrlKey || e.metaKey || document.activeElement === svg)) return;
      e.preventDefault();
      zoom(e.deltaY > 0 ? 1.25 : 0.8, at);
    }, { passive: false });
    svg.addEventListener("dblclick", all);
    svg.addEventListener("keydown", (e) => {
      const act = { "+": () => zoom(0.67, [0.5, 0.5]), "=": () => zoom(0.67, [0.5, 0.5]), "-": () => zoom(1.5, [0.5, 0.5]), 0: all }[e.key];
      if (act) { act(); e.preventDefault(); }
    });
    let from = null;
    const box = document.createElementNS(NS, "rect");
    box.setAttribute("fill", "#0072b2");
    box.setAttribute("fill-opacity", "0.15");
    svg.addEventListener("pointerdown", (e) => {
      const at = place(e);
      if (e.button || at.some((v) => v < 0 || v > 1)) return;
      from = at;
      svg.focus({ preventScroll: true });
      svg.setPointerCapture(e.pointerId);
    });
    const span = (at, i) => [Math.min(from[i], at[i]), Math.max(from[i], at[i])].map((v) => Math.max(0, Math.min(1, v)));
    svg.addEventListener("pointermove", (e) => {
      if (!from) return;
      const at = place(e), [a, b] = span(at, 0), [c, d] = span(at, 1);
      for (const [k, v] of Object.entries({ x: x0 + a * w, y: y1 + (1 - d) * h, width: (b - a) * w, height: (d - c) * h })) box.setAttribute(k, v);
      svg.append(box);
    });
    svg.addEventListener("pointerup", (e) => {
      if (!from) return;
      const at = place(e), x = span(at, 0), y = span(at, 1);
      from = null;
      box.remove();
      if (x[1] - x[0] < 0.02 || y[1] - y[0] < 0.02) return;
      now = now.map((a, i) => { const [p, q] = i ? y : x, s = a.hi - a.lo; return { ...a, lo: a.lo + p * s, hi: a.lo + q * s }; });
      draw();
    });
    svg.insertAdjacentHTML("afterbegin", "<title>wheel or drag zooms, double click shows all; + − 0 on the keyboard</title>");
  }
  const value = (cell) => {
    const text = cell?.textContent.trim() ?? "";
    const n = parseFloat(text.replace(/^[−–]/, "-").replace(/(\d),(?=\d{3})/g, "$1"));
    return n === n ? n : text.toLowerCase();
  };
  for (const table of document.querySelectorAll("table")) {
    const rows = [...table.rows], head = rows[0];
    const spans = rows.some((r) => [...r.cells].some((c) => c.rowSpan > 1 || c.colSpan > 1));
    if (rows.length < 4 || spans || !head || ![...head.cells].every((c) => c.tagName === "TH")) continue;
    const own = rows.slice(1), home = own[0].parentNode;
    [...head.cells].forEach((th, i) => {
      th.tabIndex = 0;
      th.style.cursor = "pointer";
      th.title = "sorts";
      const act = () => {
        const was = th.getAttribute("aria-sort");
        [...head.cells].forEach((o) => o.removeAttribute("aria-sort"));
        if (was === "descending") { home.append(...own); return; }
        th.setAttribute("aria-sort", was ? "descending" : "ascending");
        const sign = was ? -1 : 1;
        const order = (a, b) => (typeof a === typeof b ? (a < b ? -1 : a > b ? 1 : 0) : typeof a === "number" ? -1 : 1);
        home.append(...[...own].sort((a, b) => sign * order(value(a.cells[i]), value(b.cells[i]))));
      };
      th.addEventListener("click", act);
      th.addEventListener("keydown", (e) => e.key === "Enter" && act());
    });
  }
})();

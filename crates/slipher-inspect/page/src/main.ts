// The page of slipher inspect.

import * as api from "./api";
import { forgetColours, h, tell } from "./dom";
import { Plots } from "./plots";
import { begin, keep, type State } from "./state";
import { Table } from "./table";
import { Viewer } from "./viewer";

const KEYS: [string, string][] = [
  ["0 – 4", "decide: 4 certain, 3 probable, 2 possible, 1 unlikely, 0 no signal; goes to the next row"],
  ["a or Enter", "accept class and redshift as shown, quality 4"],
  ["n or →, b or ←", "next row, row before"],
  ["s, S", "next solution, solution before"],
  ["g", "galaxy, quasar, star in turn at this redshift"],
  ["m", "mark a line: choose it, click where it is; on images: what mattered"],
  ["c", "comment; Enter writes it"],
  ["x", "bad data"],
  ["u", "take the decision back"],
  ["+ −, h j", "zoom, move"],
  ["r", "whole range"],
  ["t l y e", "template, lines, sky, error"],
  ["k, K", "more smoothing, less"],
  ["/", "search"],
  ["?", "this list"],
];

class Page {
  private index = 0;
  private count = h("span", { class: "faint", "aria-live": "polite" });
  private work = h("span", { class: "faint" });
  private chips = h("span", {});
  private search = h("input", { type: "search", placeholder: "search (/)", "aria-label": "search names, files and notes" });
  private table: Table;
  private plots: Plots;
  private viewer: Viewer;
  private help = h("dialog", { "aria-label": "keys" });

  constructor(private s: State) {
    this.table = new Table(s, (row) => void this.open(row), (c) => this.sort(c), (n) => this.counted(n));
    this.plots = new Plots(s, (f) => this.filter(f), (row) => void this.open(row), () => keep(s));
    this.viewer = new Viewer(s, (p) => this.progressed(p), () => void this.step(1, true));
    const app = document.getElementById("app")!;
    app.replaceChildren(this.header(), h("section", { class: "left", "aria-label": "catalogue" }, this.bar(), this.table.element, this.plots.element), this.viewer.element);
    app.setAttribute("aria-busy", "false");
    document.body.append(this.help);
    this.help.append(h("table", {}, h("tbody", {}, ...KEYS.map(([k, t]) => h("tr", {}, h("td", {}, h("kbd", {}, k)), h("td", {}, t))))),
      h("button", { click: () => this.help.close() }, "close"));
    document.addEventListener("keydown", (e) => this.key(e));
    document.title = `${s.run.name} – slipher inspect`;
    for (const w of s.run.warnings) tell(w, true);
    setInterval(() => void this.poll(), 5000);
  }

  private header(): HTMLElement {
    const s = this.s;
    const who = h("input", { value: s.inspector, size: 10, "aria-label": "inspector", maxlength: 80 });
    who.addEventListener("change", () => { s.inspector = who.value.trim() || s.run.inspector; who.value = s.inspector; keep(s); void this.all(); void this.poll(); if (s.row !== null) void this.viewer.show(s.row); });
    const theme = h("button", { title: "light or dark", click: () => {
      const dark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
      document.documentElement.dataset.theme = dark ? "light" : "dark";
      forgetColours();
      this.plots.draw();
      this.viewer.redraw();
    } }, "◐");
    const link = (title: string, layout: string, format: string) => h("p", {}, h("a", { href: api.exportUrl(layout, format), download: "" }, title));
    const save = h("details", { class: "menu" }, h("summary", {}, "save decisions"), h("div", {},
      h("p", { class: "faint" }, `each is written at once to ${s.run.decisions}`),
      link("CSV with places", "own", "csv"), link("CSV as DESI's prospect", "prospect", "csv"), link("Parquet", "own", "parquet")));
    return h("header", {}, h("h1", { title: s.run.name }, s.run.name), this.count, this.search, h("span", { class: "grow" }), this.work,
      h("label", {}, "inspector ", who), save, theme, h("button", { click: () => this.help.showModal() }, "keys (?)"));
  }

  private bar(): HTMLElement {
    const s = this.s;
    this.search.value = s.query.search;
    let wait = 0;
    this.search.addEventListener("input", () => {
      clearTimeout(wait);
      wait = window.setTimeout(() => { s.query.search = this.search.value; void this.all(); }, 200);
    });
    const decided = h("select", { "aria-label": "by decision" }, ...[["any", "all rows"], ["open", "not decided by me"], ["mine", "decided by me"], ["disagreed", "inspectors disagree"]]
      .map(([v, t]) => h("option", { value: v }, t)));
    decided.value = s.query.decided;
    decided.addEventListener("change", () => { s.query.decided = decided.value as api.Query["decided"]; void this.all(); });
    const order = h("select", { "aria-label": "order" }, h("option", { value: "" }, "order of the catalogue"), ...s.run.orders.map(([v, t]) => h("option", { value: v }, t)));
    order.value = s.query.sort.startsWith("@") ? s.query.sort : "";
    order.addEventListener("change", () => { s.query.sort = order.value; s.query.descending = false; void this.all(); });
    const boxes = s.run.columns.map((c) => {
      const box = h("input", { type: "checkbox" });
      box.checked = s.columns.includes(c.name);
      box.addEventListener("change", () => { s.columns = box.checked ? [...s.columns, c.name] : s.columns.filter((n) => n !== c.name); void this.all(); });
      return h("label", { title: c.meaning }, box, ` ${c.name}`);
    });
    const menu = h("details", { class: "menu" }, h("summary", {}, "columns"), h("div", {}, ...boxes));
    this.drawChips();
    return h("div", { class: "bar" }, decided, order, this.adder(), menu, this.chips);
  }

  private adder(): HTMLElement {
    const names = this.s.run.columns;
    const column = h("select", { "aria-label": "column to filter" }, ...names.map((c) => h("option", { value: c.name }, c.name)));
    if (names.some((c) => c.name === "z")) column.value = "z";
    const [min, max, text] = ["from", "to", "holds"].map((t) => h("input", { placeholder: t, "aria-label": t, size: 8 }));
    const form = h("form", {}, column, min, max, text, h("button", {}, "filter"));
    const suit = () => {
      const number = names.find((c) => c.name === column.value)?.number ?? false;
      min.hidden = max.hidden = !number;
      text.hidden = number;
    };
    column.addEventListener("change", suit);
    suit();
    form.addEventListener("submit", (e) => {
      e.preventDefault();
      const f: api.Filter = { column: column.value };
      for (const [key, input] of [["min", min], ["max", max]] as const) {
        const v = input.value.trim();
        if (input.hidden || v === "") continue;
        if (!Number.isFinite(Number(v))) return tell(`“${v}”: expected a number`, true);
        f[key] = Number(v);
      }
      if (!text.hidden && text.value) f.text = text.value;
      if (Object.keys(f).length > 1) this.filter([f]);
    });
    return h("details", { class: "menu" }, h("summary", {}, "filter"), h("div", {}, form));
  }

  private drawChips(): void {
    const chip = (f: api.Filter, i: number) => {
      const range = f.text !== undefined ? ` holds “${f.text}”` : ` ${f.min ?? "−∞"} … ${f.max ?? "∞"}`;
      const off = h("button", { "aria-label": `remove the filter on ${f.column}`, click: () => { this.s.query.filters.splice(i, 1); void this.all(); } }, "×");
      return h("span", { class: "chip" }, f.column + range, off);
    };
    this.chips.replaceChildren(...this.s.query.filters.map(chip));
  }

  private filter(found: api.Filter[]): void {
    const q = this.s.query;
    q.filters = [...q.filters.filter((f) => !found.some((n) => n.column === f.column)), ...found];
    void this.all();
  }

  private sort(column: string): void {
    const q = this.s.query;
    if (q.sort !== column) [q.sort, q.descending] = [column, false];
    else if (!q.descending) q.descending = true;
    else [q.sort, q.descending] = ["", false];
    void this.all();
  }

  private counted(n: number): void {
    this.count.textContent = n === this.s.run.rows ? `${n.toLocaleString("en")} rows` : `${n.toLocaleString("en")} of ${this.s.run.rows.toLocaleString("en")} rows`;
  }

  async all(): Promise<void> {
    this.drawChips();
    keep(this.s);
    await Promise.all([this.table.refresh(), this.plots.refresh()]);
    await this.locate();
    if (this.s.row === null) {
      const first = await this.table.fetchRow(0);
      if (first !== null) await this.open(first, 0);
    }
  }

  /** Where the row shown stands in the table. */
  private async locate(): Promise<void> {
    if (this.s.row === null) return;
    const at = await api.place(this.s.query, this.s.inspector, this.s.row).catch(() => null);
    if (at !== null) { this.index = at; this.table.reveal(at); }
  }

  async open(row: number, index?: number): Promise<void> {
    this.s.row = row;
    keep(this.s);
    if (index !== undefined) { this.index = index; this.table.reveal(index); } else { this.table.draw(); void this.locate(); }
    this.plots.draw();
    await this.viewer.show(row);
    this.viewer.prepare(await this.table.fetchRow(this.index + 1));
  }

  /** The next row; after a decision in a list of open ones, the row that took its place. */
  async step(by: number, decided = false): Promise<void> {
    if (decided) await this.table.again();
    const stays = decided && this.s.query.decided === "open";
    const index = stays ? Math.min(this.index, this.table.count - 1) : this.index + by;
    const row = await this.table.fetchRow(index);
    if (row === null) return tell(by > 0 ? "the last row" : "the first row");
    await this.open(row, index);
  }

  private progressed(p: api.Progress): void {
    const agree = p.shared ? `; of ${p.shared} seen by several ${p.agreed} agree` : "";
    this.work.textContent = `${p.mine} decided by you, ${p.decided} by ${p.inspectors.length || "no"} inspector${p.inspectors.length === 1 ? "" : "s"}${agree}`;
  }

  async poll(): Promise<void> {
    try { this.progressed(await api.progress(this.s.inspector)); } catch (e) { tell(`slipher inspect does not answer: ${(e as Error).message}`, true); }
  }

  private key(e: KeyboardEvent): void {
    const target = e.target as HTMLElement;
    if (e.key === "Escape") { target.blur(); this.help.close(); return; }
    if (e.ctrlKey || e.metaKey || e.altKey || target.closest("input:not([type=range]):not([type=checkbox]), textarea, select, dialog")) return;
    if ((e.key === "Enter" || e.key === " ") && target.closest("button, summary, a")) return;
    const v = this.viewer, sp = v.spectrum;
    const todo: Record<string, () => void> = {
      a: () => v.accept(), Enter: () => v.accept(),
      n: () => void this.step(1), ArrowRight: () => void this.step(1), b: () => void this.step(-1), ArrowLeft: () => void this.step(-1),
      s: () => sp?.next(1), S: () => sp?.next(-1),
      g: () => sp?.choose({ class: ["GALAXY", "QSO", "STAR"][(["GALAXY", "QSO", "STAR"].indexOf(sp.chosen.class) + 1) % 3], z: sp.chosen.z }),
      m: () => v.markLine(), c: () => v.comment.focus(), x: () => v.toggleBad(), u: () => void v.withdraw(),
      "+": () => sp?.zoom(1 / 1.5), "=": () => sp?.zoom(1 / 1.5), "-": () => sp?.zoom(1.5), h: () => sp?.pan(-0.25), j: () => sp?.pan(0.25), r: () => sp?.reset(),
      t: () => v.press("template"), l: () => v.press("lines"), y: () => v.press("sky"), e: () => v.press("error"),
      k: () => sp?.smoothing(Math.min(31, sp.shown.smoothing + 2)), K: () => sp?.smoothing(Math.max(1, sp.shown.smoothing - 2)),
      "/": () => this.search.focus(), "?": () => this.help.showModal(),
    };
    const act = /^[0-4]$/.test(e.key) ? () => void v.decide(Number(e.key)) : todo[e.key];
    if (!act) return;
    e.preventDefault();
    act();
  }
}

async function main(): Promise<void> {
  try {
    const state = begin(await api.run());
    const page = new Page(state);
    await page.all();
    if (state.row !== null) await page.open(state.row);
    await page.poll();
  } catch (e) {
    document.getElementById("app")!.textContent = `slipher inspect: ${(e as Error).message}`;
  }
}

void main();

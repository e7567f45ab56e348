// A table of any length: only the rows in sight are asked for.

import * as api from "./api";
import { h, number, tell } from "./dom";
import type { State } from "./state";

const HEIGHT = 24;
// Browsers do not scroll further than some 33 million pixels.
const TALLEST = 16_000_000;
const PAGE = 200;

export class Table {
  readonly element = h("div", { class: "table", tabindex: 0, role: "grid", "aria-label": "rows of the catalogue" });
  private head = h("div", { class: "head", role: "row" });
  private body = h("div", {});
  private pages = new Map<number, { rows: Record<string, unknown>[]; decided: (number | null)[] }>();
  private pending = new Set<number>();
  private version = 0;
  count = 0;

  constructor(
    private s: State,
    private pick: (row: number) => void,
    private sort: (column: string) => void,
    private counted: (n: number) => void,
  ) {
    this.element.append(this.head, this.body);
    this.body.style.position = "relative";
    this.element.addEventListener("scroll", () => requestAnimationFrame(() => this.draw()));
    new ResizeObserver(() => this.draw()).observe(this.element);
  }

  async refresh(): Promise<void> {
    this.version += 1;
    this.pages.clear();
    this.pending.clear();
    this.drawHead();
    await this.load(0);
  }

  /** Forgets what was shown of decisions, not where the table stands. */
  async again(): Promise<void> {
    const first = Math.floor(this.firstRow() / PAGE);
    this.version += 1;
    this.pages.clear();
    this.pending.clear();
    await this.load(first);
  }

  private drawHead(): void {
    const { query, columns, run } = this.s;
    const cell = (name: string) => {
      const info = run.columns.find((c) => c.name === name);
      const arrow = query.sort === name ? (query.descending ? " ▼" : " ▲") : "";
      const about = [info?.meaning, info?.unit && `in ${info.unit}`].filter(Boolean).join(", ");
      return h("button", {
        class: this.kind(name), role: "columnheader", title: `${name}: ${about}; click sorts`,
        "aria-sort": arrow ? (query.descending ? "descending" : "ascending") : "none",
        click: () => this.sort(name),
      }, name + arrow);
    };
    const mark = h("span", { class: "cell mark", role: "columnheader", title: "your quality" }, "✓");
    this.head.replaceChildren(mark, ...columns.map(cell));
  }

  private kind(name: string): string {
    const info = this.s.run.columns.find((c) => c.name === name);
    if (info?.number) return "number";
    return ["object_id", "file", "warnings", "other_reading", "lines", "error"].includes(name) ? "wide" : "";
  }

  private scale(): number {
    return Math.max(1, (this.count * HEIGHT) / TALLEST);
  }

  private firstRow(): number {
    return Math.floor((this.element.scrollTop * this.scale()) / HEIGHT);
  }

  private async load(page: number): Promise<void> {
    if (this.pages.has(page) || this.pending.has(page)) return;
    this.pending.add(page);
    const version = this.version;
    const { query, inspector, columns } = this.s;
    try {
      const found = await api.rows(query, inspector, page * PAGE, PAGE, columns);
      if (version !== this.version) return;
      this.pages.set(page, found);
      if (this.pages.size > 60) this.pages.delete(this.pages.keys().next().value!);
      if (found.count !== this.count || page === 0) {
        this.count = found.count;
        this.body.style.height = `${Math.min(this.count * HEIGHT, TALLEST)}px`;
        this.counted(this.count);
      }
      this.draw();
    } catch (e) {
      tell((e as Error).message, true);
    } finally {
      if (version === this.version) this.pending.delete(page);
    }
  }

  rowAt(index: number): number | null {
    const page = this.pages.get(Math.floor(index / PAGE));
    const r = page?.rows[index % PAGE];
    return r ? Number(r["#"]) : null;
  }

  async fetchRow(index: number): Promise<number | null> {
    if (index < 0 || index >= this.count) return null;
    await this.load(Math.floor(index / PAGE));
    return this.rowAt(index);
  }

  reveal(index: number): void {
    const view = this.element.clientHeight - this.head.offsetHeight;
    const top = (index * HEIGHT) / this.scale();
    const at = this.element.scrollTop;
    if (top < at || top + HEIGHT > at + view) this.element.scrollTop = Math.max(0, top - view / 2);
    this.draw();
  }

  draw(): void {
    const first = this.firstRow();
    const fit = Math.ceil(this.element.clientHeight / HEIGHT) + 1;
    const last = Math.min(this.count, first + fit);
    const top = this.element.scrollTop;
    const shown: Node[] = [];
    for (let i = first; i < last; i++) {
      const page = this.pages.get(Math.floor(i / PAGE));
      if (!page) void this.load(Math.floor(i / PAGE));
      const r = page?.rows[i % PAGE];
      const n = r ? Number(r["#"]) : -1;
      const quality = page?.decided[i % PAGE];
      const mark = quality === null || quality === undefined ? "" : quality === 255 ? "✎" : String(quality);
      const line = h("div", {
        class: "row", role: "row", "aria-selected": String(n === this.s.row), "data-row": n,
        click: () => n >= 0 && this.pick(n),
      }, h("span", { class: "cell mark", role: "gridcell" }, mark));
      for (const c of this.s.columns) {
        const text = r ? number(r[c]) : "…";
        line.append(h("span", { class: `cell ${this.kind(c)}`, role: "gridcell", title: text }, text));
      }
      const y = this.scale() > 1 ? top + (i - first) * HEIGHT : i * HEIGHT;
      line.style.top = `${y}px`;
      shown.push(line);
    }
    this.body.replaceChildren(...shown);
  }
}

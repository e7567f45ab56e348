// The right side: one row, what it was measured on, and the decision about it.

import * as api from "./api";
import { curve } from "./curve";
import { h, number, tell } from "./dom";
import { ImageView } from "./image";
import { type Chosen, SpectrumView } from "./spectrum";
import type { State } from "./state";

const QUALITY = ["no signal", "unlikely", "possible", "probable", "certain"];
const CLASSES = ["GALAXY", "QSO", "STAR"];

export class Viewer {
  readonly element = h("section", { class: "right", "aria-label": "row" });
  spectrum: SpectrumView | null = null;
  image: ImageView | null = null;
  shown: api.RowShown | null = null;
  private ahead = new Map<number, Promise<api.RowShown>>();
  private title = h("div", { class: "title" });
  private notes = h("div", { class: "notes" });
  private look = h("div", { class: "look" });
  private bar = h("form", { class: "decide", "aria-label": "decision" });
  private z = h("input", { class: "z", inputmode: "decimal", "aria-label": "redshift", placeholder: "z" });
  private cls = h("input", { class: "z", "aria-label": "class", placeholder: "class", list: "classes" });
  readonly comment = h("input", { type: "text", "aria-label": "comment", placeholder: "comment (c)", maxlength: 1000 });
  private bad = h("button", { type: "button", "aria-pressed": "false", click: () => this.toggleBad() }, "bad data (x)");
  private decisions = h("div", { class: "decisions" });
  private classes = h("datalist", { id: "classes" });

  constructor(private s: State, private decided: (p: api.Progress) => void, private onward: () => void) {
    this.element.append(this.title, this.notes, this.look, this.bar);
    const names = [...new Set([...CLASSES, ...s.run.columns.filter((c) => c.name.startsWith("p_")).map((c) => c.name.slice(2))])];
    this.classes.append(...names.map((n) => h("option", { value: n })));
    const grades = QUALITY.map((name, q) =>
      h("button", { type: "button", title: `quality ${q}: ${name} (${q})`, click: () => void this.decide(q) }, `${q} ${name}`));
    const undo = h("button", { type: "button", title: "take the decision back (u)", click: () => void this.withdraw() }, "undo");
    this.bar.append(this.classes, this.cls, this.z, ...grades.reverse(), this.bad, this.comment, undo, this.decisions);
    this.bar.addEventListener("submit", (e) => e.preventDefault());
    this.comment.addEventListener("keydown", (e) => { if (e.key === "Enter") void this.note(); });
    this.z.addEventListener("change", () => {
      const z = Number(this.z.value);
      if (this.spectrum && Number.isFinite(z)) this.spectrum.choose({ class: this.cls.value || "GALAXY", z });
    });
    this.cls.addEventListener("change", () => {
      if (this.spectrum && CLASSES.includes(this.cls.value)) this.spectrum.choose({ class: this.cls.value, z: Number(this.z.value) || 0 });
    });
  }

  private fetch(row: number): Promise<api.RowShown> {
    let p = this.ahead.get(row);
    if (!p) {
      p = api.row(row);
      this.ahead.set(row, p);
      p.catch(() => this.ahead.delete(row));
      if (this.ahead.size > 12) this.ahead.delete(this.ahead.keys().next().value!);
    }
    return p;
  }

  /** Reads the next row before it is asked for. */
  prepare(row: number | null): void {
    if (row !== null) void this.fetch(row).catch(() => undefined);
  }

  async show(row: number): Promise<void> {
    try {
      const found = await this.fetch(row);
      if (this.s.row !== row) return;
      this.draw(found);
    } catch (e) {
      tell((e as Error).message, true);
    }
  }

  private mine(): api.Decision | undefined {
    return this.shown?.decisions.find((d) => d.scanner === this.s.inspector);
  }

  private draw(found: api.RowShown): void {
    this.shown = found;
    this.spectrum = this.image = null;
    const c = found.columns;
    const name = String(c.object_id || c.file || `row ${found.row}`);
    const z = c.z !== undefined ? `, z = ${number(c.z, 5)} ± ${number(c.z_err, 5)}` : "";
    const p = c.p_correct !== undefined ? `, p = ${number(c.p_correct, 3)}` : "";
    this.title.replaceChildren(h("b", {}, name), ` ${c.spectype ?? ""}${z}${p} `, h("span", { class: "faint" }, String(c.file ?? "")));
    const item = found.item.Ok;
    const notes = [...found.warnings.map((t) => h("p", {}, t)), ...(item?.notes ?? []).map((t) => h("p", { class: "note" }, t))];
    if (found.item.Err) notes.unshift(h("p", {}, found.item.Err));
    if (c.error) notes.unshift(h("p", {}, String(c.error)));
    this.notes.replaceChildren(...notes);
    const own = this.mine();
    const given: Chosen | null = own?.z != null && own.class ? { class: own.class, z: own.z } : null;
    this.cls.value = own?.class ?? String(c.spectype ?? c.class ?? c.prediction ?? "");
    this.z.value = own?.z != null ? own.z.toFixed(5) : typeof c.z === "number" ? c.z.toFixed(5) : "";
    this.z.hidden = c.z === undefined;
    this.comment.value = own?.comment ?? "";
    this.bad.setAttribute("aria-pressed", String(own?.issue.includes("S") ?? false));
    this.look.replaceChildren();
    if (item?.kind === "spectrum") this.drawSpectrum(item, found, given);
    else if (item?.kind === "image") {
      this.image = new ImageView(item, found.row);
      this.look.append(this.image.element);
    } else if (item?.kind === "light-curve") this.look.append(curve(item));
    const answer = item && item.kind !== "spectrum" ? item.answer : [];
    if (answer.length) this.classes.replaceChildren(...answer.map((a) => h("option", { value: a.name })));
    const quantiles = this.posteriors(c);
    if (quantiles) this.look.append(quantiles);
    this.look.append(this.values(c));
    this.drawDecisions(found.decisions);
  }

  private drawSpectrum(item: api.Spectrum, found: api.RowShown, given: Chosen | null): void {
    const view = new SpectrumView(item, found.row, this.s.run.lines, given, (chosen) => {
      this.cls.value = chosen.class;
      this.z.value = chosen.z.toFixed(5);
    });
    this.spectrum = view;
    const toggle = (what: "error" | "template" | "lines" | "sky", key: string) => {
      const b = h("button", { type: "button", "data-toggle": what, "aria-pressed": String(view.shown[what]), click: () => {
        view.toggle(what);
        b.setAttribute("aria-pressed", String(view.shown[what]));
      } }, `${what} (${key})`);
      return b;
    };
    const smooth = h("input", { type: "range", min: 1, max: 31, step: 2, value: 1, "aria-label": "smoothing in pixels" });
    smooth.addEventListener("input", () => view.smoothing(Number(smooth.value)));
    const line = h("select", { "aria-label": "line to mark: choose it, then click on the spectrum", "data-mark": true });
    line.append(h("option", { value: "" }, "mark a line (m)…"), ...this.s.run.lines.map(([n, w]) => h("option", {}, `${n} ${w.toFixed(0)}`)));
    line.addEventListener("change", () => {
      view.marking = line.value || null;
      if (view.marking) tell(`click where ${view.marking} is`);
      line.value = "";
    });
    const tools = h("div", { class: "tools" }, toggle("template", "t"), toggle("lines", "l"), toggle("sky", "y"), toggle("error", "e"),
      h("label", {}, "smooth ", smooth), line, h("button", { type: "button", click: () => view.reset() }, "all (r)"));
    this.look.append(tools, view.element);
    view.redraw();
  }

  press(what: "error" | "template" | "lines" | "sky"): void {
    this.look.querySelector<HTMLButtonElement>(`[data-toggle=${what}]`)?.click();
  }

  markLine(): void {
    if (this.image) void this.image.map();
    else this.look.querySelector<HTMLSelectElement>("[data-mark]")?.focus();
  }

  private values(c: Record<string, unknown>): HTMLElement {
    const skip = new Set(["file", "hdu", "row", "object_id", "solutions", "pz", "embedding", "model_sha256"]);
    const about = new Map(this.s.run.columns.map((k) => [k.name, k]));
    const rows = Object.entries(c).filter(([k, v]) => !skip.has(k) && v !== null && v !== "" && typeof v !== "object").map(([k, v]) =>
      h("tr", {}, h("td", { class: "faint", title: about.get(k)?.meaning ?? "" }, k), h("td", {}, `${number(v, 5)} ${about.get(k)?.unit ?? ""}`)));
    return h("details", {}, h("summary", {}, "columns of the catalogue"), h("table", { class: "values" }, h("tbody", {}, ...rows)));
  }

  /** Parameters with their intervals, where the catalogue has quantiles. */
  private posteriors(c: Record<string, unknown>): HTMLElement | null {
    const names = Object.keys(c).filter((k) => k.endsWith("_p50") && typeof c[k] === "number").map((k) => k.slice(0, -4));
    if (!names.length) return null;
    const about = new Map(this.s.run.columns.map((k) => [k.name, k]));
    const row = (n: string) => {
      const [low, mid, high] = ["16", "50", "84"].map((q) => c[`${n}_p${q}`] as number);
      const text = `${number(mid)} +${number(high - mid)} −${number(mid - low)} ${about.get(`${n}_p50`)?.unit ?? ""}`;
      return h("tr", {}, h("td", { class: "faint" }, n), h("td", {}, text));
    };
    const caption = h("caption", {}, "posterior: median, 68 %");
    return h("table", { class: "solutions values" }, caption, h("tbody", {}, ...names.map(row)));
  }

  private drawDecisions(all: api.Decision[]): void {
    const one = (d: api.Decision) => {
      const z = d.z !== null ? ` z = ${d.z.toFixed(5)}` : "";
      const q = d.quality !== null ? `quality ${d.quality}` : "comment";
      return `${d.scanner}: ${q}, ${d.class}${z}${d.issue ? ` [${d.issue}]` : ""}${d.comment ? ` “${d.comment}”` : ""}`;
    };
    this.decisions.replaceChildren(...all.map((d) => h("div", {}, one(d))));
    const own = this.mine()?.quality;
    this.bar.querySelectorAll("button[title^=quality]").forEach((b) =>
      b.setAttribute("aria-pressed", String(own !== null && own !== undefined && b.textContent!.startsWith(String(own)))));
  }

  toggleBad(): void {
    this.bad.setAttribute("aria-pressed", String(this.bad.getAttribute("aria-pressed") !== "true"));
  }

  private said(quality?: number): api.Said | null {
    if (!this.shown) return null;
    const z = this.z.hidden || this.z.value.trim() === "" ? undefined : Number(this.z.value);
    if (z !== undefined && !Number.isFinite(z)) { tell(`redshift “${this.z.value}”: expected a number`, true); return null; }
    // What was left at the catalogue's value, rounded as it is shown, is that value.
    const given = this.shown.columns.z;
    const same = typeof given === "number" && z !== undefined && given.toFixed(5) === this.z.value;
    return {
      row: this.shown.row, quality, z: same ? undefined : z, class: this.cls.value,
      bad_data: this.bad.getAttribute("aria-pressed") === "true", comment: this.comment.value,
    };
  }

  private async send(said: api.Said | null, withdraw = false): Promise<boolean> {
    if (!said || !this.shown) return false;
    try {
      const { progress, decisions } = await api.decide(this.s.inspector, said, withdraw);
      if (this.shown.row === said.row) {
        this.shown.decisions = decisions;
        this.drawDecisions(decisions);
      }
      this.ahead.delete(said.row);
      this.decided(progress);
      return true;
    } catch (e) {
      tell(`not written: ${(e as Error).message}`, true);
      return false;
    }
  }

  async decide(quality: number): Promise<void> {
    if (await this.send(this.said(quality))) {
      tell(`quality ${quality}, ${QUALITY[quality]}: written`);
      this.onward();
    }
  }

  /** Writes the comment, with the quality there is. */
  async note(): Promise<void> {
    if (await this.send(this.said(this.mine()?.quality ?? undefined))) tell("comment: written");
    this.comment.blur();
  }

  async withdraw(): Promise<void> {
    if (this.mine() && (await this.send(this.said(), true))) tell("decision taken back");
  }

  accept(): void { void this.decide(4); }
  redraw(): void { if (this.shown) this.draw(this.shown); }
}

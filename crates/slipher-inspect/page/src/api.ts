// What the server answers.

import { tableFromIPC } from "@uwdata/flechette";

export interface ColumnInfo { name: string; number: boolean; unit: string; meaning: string }
export interface Run {
  name: string; rows: number; columns: ColumnInfo[]; lines: [string, number, string][];
  orders: [string, string][]; warnings: string[]; inspector: string; decisions: string; version: string;
}
export interface Filter { column: string; min?: number; max?: number; text?: string; bit?: number }
export interface Query {
  search: string; filters: Filter[]; decided: "any" | "open" | "mine" | "disagreed";
  sort: string; descending: boolean;
}
export interface Plot {
  x: [number, number]; y: [number, number] | null; bins: [number, number]; counts: number[];
  points: [number, number | null, number | null][] | null; outside: number;
}
export interface Solution { class: string; z: number; z_err: number; p: number; line: string }
export interface Line { name: string; rest: number; snr: number | null; secure: boolean }
type Maybe = number | null;
export interface Spectrum {
  kind: "spectrum"; wave: number[]; flux: Maybe[]; error: Maybe[]; unit: string; template: Maybe[];
  solutions: Solution[]; grid: number[]; posterior: Record<string, number[]>; lines: Line[];
  notes: string[]; truth: [string, number] | null;
}
export interface Answer { name: string; value: number }
export interface Image {
  kind: "image"; bands: string[]; height: number; width: number; pixels: Maybe[];
  scale: number | null; answer: Answer[]; mappable: boolean; notes: string[];
}
export interface Curve {
  kind: "light-curve"; bands: Record<string, [number, number, number][]>; zero_point: number;
  answer: Answer[]; notes: string[];
}
export type Item = Spectrum | Image | Curve;
export interface Decision {
  scanner: string; quality: number | null; issue: string; z: number | null; class: string;
  comment: string; time: string;
}
export interface RowShown {
  row: number; columns: Record<string, unknown>; item: { Ok?: Item; Err?: string };
  warnings: string[]; decisions: Decision[];
}
export interface Progress {
  rows: number; mine: number; decided: number; shared: number; agreed: number; inspectors: string[];
}
export interface Map2 { steps: number; share: number; values: number[]; of: string }
export interface Said {
  row: number; quality?: number; z?: number; class?: string; bad_data?: boolean; comment?: string;
}

const token = document.querySelector<HTMLMetaElement>("meta[name=slipher-token]")!.content;

async function ask(path: string, values: Record<string, string | number> = {}, init: RequestInit = {}) {
  const query = new URLSearchParams(Object.entries(values).map(([k, v]) => [k, String(v)]));
  const headers = { "x-slipher-token": token, ...(init.headers ?? {}) };
  const answer = await fetch(`/api/${path}?${query}`, { ...init, headers });
  if (!answer.ok) {
    const text = await answer.text();
    let why = text;
    try { why = JSON.parse(text).error ?? text; } catch { /* as it is */ }
    throw new Error(why || `${answer.status}`);
  }
  return answer;
}

export const run = async (): Promise<Run> => (await ask("run")).json();

export async function rows(q: Query, inspector: string, from: number, n: number, columns: string[]) {
  const a = await ask("rows", { q: JSON.stringify(q), inspector, from, n, columns: columns.join(",") });
  const count = Number(a.headers.get("x-rows"));
  const decided: (number | null)[] = JSON.parse(a.headers.get("x-decided") ?? "[]");
  const table = tableFromIPC(new Uint8Array(await a.arrayBuffer()));
  return { count, decided, rows: table.toArray() as Record<string, unknown>[] };
}

export const plot = async (q: Query, inspector: string, x: string, y: string): Promise<Plot> =>
  (await ask("plot", { q: JSON.stringify(q), inspector, x, y })).json();
export const row = async (n: number): Promise<RowShown> => (await ask("row", { row: n })).json();
export const place = async (q: Query, inspector: string, n: number): Promise<number | null> =>
  (await ask("place", { q: JSON.stringify(q), inspector, row: n })).json();
export const template = async (n: number, cls: string, z: number): Promise<Maybe[]> =>
  (await ask("template", { row: n, class: cls, z })).json();
export const map = async (n: number): Promise<Map2> => (await ask("map", { row: n })).json();
export const progress = async (inspector: string): Promise<Progress> =>
  (await ask("progress", { inspector })).json();

export async function decide(inspector: string, decision: Said, withdraw = false) {
  const body = JSON.stringify({ inspector, withdraw, decision });
  const headers = { "content-type": "application/json" };
  const a = await ask("decide", {}, { method: "POST", body, headers });
  return (await a.json()) as { progress: Progress; decisions: Decision[] };
}

export function exportUrl(layout: string, format: string): string {
  return `/api/export?${new URLSearchParams({ token, layout, format })}`;
}

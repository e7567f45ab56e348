// What is shown; kept in the address, so that a reload comes back to it.

import type { Query, Run } from "./api";

export interface State {
  run: Run;
  query: Query;
  inspector: string;
  row: number | null;
  columns: string[];
  plot: [string, string];
}

const USUAL = [
  "object_id", "spectype", "z", "z_err", "p_correct", "snr_med", "zwarn", "warnings", "familiarity",
  "class", "prediction", "probability", "flags", "other_reading", "subtype", "error", "file",
];

export function begin(run: Run): State {
  const names = run.columns.map((c) => c.name);
  const has = (n: string) => names.includes(n);
  let columns = USUAL.filter(has);
  const classes = names.filter((n) => n.startsWith("p_") && n !== "p_correct").slice(0, 4);
  const medians = names.filter((n) => n.endsWith("_p50"));
  if (medians.length) columns = [...columns.slice(0, 1), ...medians.slice(0, 5), ...columns.slice(1)];
  else if (!has("z")) columns = [...columns.slice(0, 1), ...classes, ...columns.slice(1)];
  const known = [["z", "snr_med"], ["ra", "dec"]].find((p) => p.every(has)) as [string, string];
  const numbers = run.columns.filter((c) => c.number).map((c) => c.name);
  const state: State = {
    run,
    query: { search: "", filters: [], decided: "any", sort: "", descending: false },
    inspector: sessionStorage.getItem("inspector") || run.inspector,
    row: null,
    columns: columns.slice(0, 9),
    plot: has("z") && known ? known : [medians[0] ?? classes[0] ?? numbers[0] ?? "", ""],
  };
  try {
    const kept = JSON.parse(decodeURIComponent(location.hash.slice(1) || "{}"));
    if (kept.query) state.query = { ...state.query, ...kept.query };
    if (typeof kept.row === "number" && kept.row < run.rows) state.row = kept.row;
    if (Array.isArray(kept.columns)) state.columns = kept.columns.filter(has);
    if (Array.isArray(kept.plot)) state.plot = kept.plot;
  } catch { /* an address that somebody changed by hand */ }
  return state;
}

export function keep(s: State): void {
  const { query, row, columns, plot } = s;
  const hash = encodeURIComponent(JSON.stringify({ query, row, columns, plot }));
  history.replaceState(null, "", `${location.pathname}${location.search}#${hash}`);
  sessionStorage.setItem("inspector", s.inspector);
}

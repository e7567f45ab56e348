// A catalogue of a million rows in Chromium: node bench.mjs SLIPHER PYTHON (with pyarrow) [ROWS]
// Prints milliseconds to the first paint, of a filter, a sort, a next spectrum, and the memory.
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { chromium } from "playwright-core";

const [slipher, python, rows = "1000000"] = [resolve(process.argv[2]), process.argv[3], process.argv[4]];
const folder = mkdtempSync(join(tmpdir(), "slipher-bench-"));
const sh = (program, ...words) => execFileSync(program, words, { cwd: folder, stdio: ["ignore", "pipe", "inherit"] });
sh(slipher, "simulate", "redshift", "-n", "2000", "-o", "spectra.parquet");
sh(slipher, "redshift", "spectra.parquet", "-o", "c.parquet");
// The same rows again and again, shuffled, with names of their own.
writeFileSync(join(folder, "many.py"), `
import sys, numpy as np, pyarrow as pa, pyarrow.parquet as pq
t = pq.read_table("c.parquet")
n = int(sys.argv[1])
rng = np.random.default_rng(1)
with pq.ParquetWriter("many.parquet", t.schema, compression="zstd") as out:
    for first in range(0, n, 100_000):
        some = t.take(rng.integers(0, len(t), min(100_000, n - first)))
        names = pa.array([f"obj-{first + i:08d}" for i in range(len(some))])
        some = some.set_column(some.schema.get_field_index("object_id"), some.schema.field("object_id"), names)
        out.write_table(some)
`);
sh(python, "many.py", rows);
const child = spawn(slipher, ["inspect", "many.parquet", "--no-browser"], { cwd: folder, stdio: ["ignore", "pipe", "inherit"] });
const url = await new Promise((done) => child.stdout.once("data", (t) => done(String(t).trim())));
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
const middle = (v) => v.sort((a, b) => a - b)[Math.floor(v.length / 2)];
try {
  const page = await browser.newPage({ viewport: { width: 1366, height: 768 } });
  if (process.env.DIST) await page.route(/page\.(js|css)/, (r) => r.fulfill({ path: join(process.env.DIST, new URL(r.request().url()).pathname) }));
  const since = async (act, test) => {
    const from = performance.now();
    await act();
    await page.waitForFunction(test.f, test.x, { polling: "raf" });
    return performance.now() - from;
  };
  const there = { f: () => document.querySelector(".table .row[data-row]")?.textContent.includes("obj-") };
  const first = [];
  for (let k = 0; k < 3; k++) first.push(await since(() => page.goto("about:blank").then(() => page.goto(url)), there));
  console.log(`rows ${rows}; first paint: ${first[0].toFixed(0)} ms, again ${middle(first.slice(1)).toFixed(0)} ms`);
  await page.waitForSelector(".spectrum canvas");
  const next = [];
  for (let k = 0; k < 20; k++) {
    const now = await page.textContent(".title b");
    next.push(await since(() => page.keyboard.press("n"), { f: (was) => document.querySelector(".title b").textContent !== was && document.querySelector(".spectrum canvas"), x: now }));
  }
  const jump = [];
  for (let k = 0; k < 10; k++) {
    const now = await page.textContent(".title b");
    await page.evaluate((at) => { document.querySelector(".table").scrollTop = at; }, 16e6 * (k + 1) / 12);
    await page.waitForFunction((was) => { const r = document.querySelectorAll(".table .row")[3]; return r && !r.textContent.includes("…") && !r.textContent.includes(was); }, now);
    jump.push(await since(() => page.locator(".table .row").nth(3).click(), { f: (was) => document.querySelector(".title b").textContent !== was, x: now }));
  }
  console.log(`next spectrum: median ${middle(next).toFixed(0)} ms, anywhere ${middle(jump).toFixed(0)} ms`);
  const ask = async (q, what = "rows") => {
    const from = performance.now();
    await page.evaluate(async ([q, what]) => {
      const token = document.querySelector("meta[name=slipher-token]").content;
      const extra = what === "plot" ? { x: "z", y: "snr_med" } : { columns: "object_id,z", n: 200 };
      const r = await fetch(`/api/${what}?${new URLSearchParams({ q: JSON.stringify(q), ...extra })}`, { headers: { "x-slipher-token": token } });
      await r.arrayBuffer();
    }, [q, what]);
    return performance.now() - from;
  };
  const times = {};
  const filter = (k) => ({ filters: [{ column: "z", min: 0.1 + k / 1000 }, { column: "p_correct", max: 0.9 }] });
  for (const [name, q] of [["filter", filter], ["search", (k) => ({ search: `obj-0000${k}` })], ["sort", (k) => ({ ...filter(k), sort: "z", descending: true })], ["teach", (k) => ({ ...filter(k), sort: "@teach" })]]) {
    const all = [];
    for (let k = 0; k < 7; k++) all.push(await ask(q(k)));
    times[name] = middle(all);
  }
  times.plot = middle(await Promise.all([1, 2, 3].map((k) => ask(filter(k), "plot"))));
  console.log(Object.entries(times).map(([n, t]) => `${n} ${t.toFixed(0)} ms`).join(", "));
  const memory = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))[1];
  console.log(`largest resident set ${(memory / 1024).toFixed(0)} MB`);
} finally {
  await browser.close();
  child.kill();
  rmSync(folder, { recursive: true, force: true });
}

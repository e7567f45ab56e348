// A timed trial on real spectra: node trial.mjs SLIPHER PYTHON (with astropy) FOLDER
// A script presses the keys of an inspector: the best solution where p_correct is above 0.9 (4), else the
// next one is looked at and a 1 or a 0 is given.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { chromium } from "playwright-core";

const [slipher, python, data] = [resolve(process.argv[2]), process.argv[3], resolve(process.argv[4])];
const folder = mkdtempSync(join(tmpdir(), "slipher-trial-"));
const run = (program, words, ok = [0]) => {
  try { return execFileSync(program, words, { cwd: folder, stdio: ["ignore", "pipe", "ignore"] }).toString(); } catch (e) {
    if (!ok.includes(e.status)) throw e;
    return e.stdout.toString();
  }
};
run(slipher, ["-q", "redshift", data, "-o", "c.parquet"], [0, 2]);
const child = spawn(slipher, ["-q", "inspect", "c.parquet", "--no-browser", "--inspector", "trial"], { cwd: folder, stdio: ["ignore", "pipe", "inherit"] });
const url = await new Promise((done) => child.stdout.once("data", (t) => done(String(t).trim())));
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
try {
  const page = await browser.newPage({ viewport: { width: 1366, height: 768 } });
  const errors = [];
  page.on("pageerror", (e) => errors.push(String(e)));
  await page.goto(url);
  await page.waitForSelector(".title b");
  // What could not be read has no spectrum to look at.
  await page.click("summary:has-text('filter')");
  await page.selectOption("[aria-label='column to filter']", "n_good_pix");
  await page.fill("[aria-label=from]", "100");
  await page.click(".menu form button");
  await page.click("summary:has-text('filter')");
  await page.waitForTimeout(500);
  await page.keyboard.press("Escape");
  const times = [];
  for (let k = 0; k < 100; k++) {
    const title = await page.textContent(".title");
    const p = Number(/p = ([\d.]+)/.exec(title)?.[1] ?? 0);
    const from = performance.now();
    if (p > 0.9) await page.keyboard.press("4");
    else { await page.keyboard.press("s"); await page.keyboard.press(p > 0.2 ? "1" : "0"); }
    await page.waitForFunction((was) => document.querySelector(".title").textContent !== was && document.querySelector(".spectrum canvas"), title, { polling: "raf" });
    times.push(performance.now() - from);
  }
  times.sort((a, b) => a - b);
  console.log(`100 spectra in ${(times.reduce((a, b) => a + b) / 1000).toFixed(1)} s; from the key to the next spectrum: median ${times[50].toFixed(0)} ms, 95 % ${times[94].toFixed(0)} ms`);
  assert.deepEqual(errors, []);
  run(slipher, ["-q", "inspect", "c.parquet", "--export", "vi.csv", "--layout", "prospect"]);
  console.log(run(python, ["-c", `
from astropy.table import Table
t = Table.read("vi.csv", format="csv")
want = "TARGETID EXPID NIGHT TILEID Spec_version Redrock_version Template_version Redrock_spectype Redrock_z Redrock_deltachi2 VI_scanner VI_quality VI_issue VI_z VI_spectype VI_comment".split()
assert t.colnames == want, t.colnames
assert len(t) == 100 and set(t["VI_quality"]) <= {0, 1, 4} and t["TARGETID"].dtype.kind == "i"
print("astropy:", len(t), "decisions,", int((t["VI_quality"] == 4).sum()), "of quality 4")
`]).trim());
} finally {
  await browser.close();
  child.kill();
  rmSync(folder, { recursive: true, force: true });
}

// The page in a real Chromium, as a person uses it: node test.mjs SLIPHER [FOLDER FOR SCREENSHOTS]
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { chromium } from "playwright-core";

const slipher = resolve(process.argv[2] ?? "../../../target/release/slipher");
const pictures = process.argv[3];
const folder = mkdtempSync(join(tmpdir(), "slipher-inspect-"));
const sh = (...words) => execFileSync(slipher, words, { cwd: folder, stdio: ["ignore", "pipe", "inherit"] });
const running = [];

function serve(catalogue, inspector, ...more) {
  const words = ["inspect", catalogue, "--no-browser", "--inspector", inspector, ...more];
  const child = spawn(slipher, words, { cwd: folder, stdio: ["ignore", "pipe", "inherit"] });
  running.push(child);
  return new Promise((done, fail) => {
    child.stdout.once("data", (text) => done(String(text).trim()));
    child.once("exit", (code) => fail(new Error(`slipher inspect ended with ${code}`)));
  });
}

const lines = () => readFileSync(join(folder, "c.decisions.csv"), "utf8").trim().split("\n");
const ready = (page) => page.waitForSelector(".table .row[aria-selected=true]").then(() => page.waitForSelector(".title b"));
const until = async (what, test) => {
  for (let i = 0; i < 100; i++) {
    if (await test()) return;
    await new Promise((r) => setTimeout(r, 50));
  }
  assert.fail(what);
};
const written = (n) => until(`${n} decisions`, () => { try { return lines().length === n + 1; } catch { return false; } });
const shot = (page, name) => pictures && page.screenshot({ path: join(pictures, `${name}.png`) });

sh("simulate", "redshift", "-n", "60", "-s", "3", "-o", "spectra.parquet");
sh("redshift", "spectra.parquet", "-o", "c.parquet");
// Names that somebody made to be taken for markup.
const evil = "<img src=x onerror=alert(1)>.csv";
writeFileSync(join(folder, evil), "wave (Angstrom),flux,err\n" + Array.from({ length: 300 }, (_, i) => `${4000 + 10 * i},${1 + (i % 7)},0.1`).join("\n"));

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
try {
  const url = await serve("c.parquet", "ann");
  const context = await browser.newContext({ viewport: { width: 1366, height: 768 } });
  const page = await context.newPage();
  const errors = [];
  page.on("pageerror", (e) => errors.push(String(e)));
  page.on("console", (m) => m.type() === "error" && errors.push(m.text()));
  // A page that was built after the program: DIST=dist.
  if (process.env.DIST) await context.route(/page\.(js|css)/, (r) => r.fulfill({ path: join(process.env.DIST, new URL(r.request().url()).pathname) }));
  const strangers = [];
  page.on("request", (r) => { if (!r.url().startsWith(new URL(url).origin) && !/^(data|blob):/.test(r.url())) strangers.push(r.url()); });
  await page.goto(url);
  await ready(page);
  await page.waitForSelector(".spectrum canvas");
  await shot(page, "inspect");

  // Sort and filter: in the form, and by drawing.
  await page.click(".table .head button:has-text('p_correct')");
  await until("sorted", async () => (await page.textContent(".table .head")).includes("p_correct ▲"));
  await page.click("summary:has-text('filter')");
  await page.selectOption("[aria-label='column to filter']", "z");
  await page.fill("[aria-label=from]", "0.05");
  await page.click(".menu form button");
  await until("filtered", async () => /of 60 rows/.test(await page.textContent("header")));
  await page.click("summary:has-text('filter')");
  const before = await page.textContent("header .faint");
  const box = await page.locator(".plots canvas").boundingBox();
  await page.mouse.move(box.x + box.width * 0.3, box.y + 20);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.6, box.y + box.height * 0.8, { steps: 4 });
  await page.mouse.up();
  await until("drawn", async () => (await page.textContent("header .faint")) !== before);
  assert.equal(await page.locator(".chip").count(), 2);
  for (let n = 2; n > 0; n--) await page.locator(".chip button").first().click();
  await until("all again", async () => /60 rows/.test(await page.textContent("header")));

  // A search, and a peak of the posterior that is clicked.
  await page.keyboard.press("/");
  await page.keyboard.type("no such name");
  await until("none", async () => /^0 of 60/.test(await page.textContent("header .faint")));
  await page.fill("[type=search]", "");
  await until("all", async () => /^60 rows/.test(await page.textContent("header .faint")));
  await page.keyboard.press("Escape");
  await page.locator(".table .row").first().click();
  await page.waitForSelector(".peaks");
  const z = () => page.inputValue("[aria-label=redshift]");
  const first = await z();
  await page.locator(".solutions tbody button").nth(1).click();
  await until("second solution", async () => (await z()) !== first);
  const peaks = await page.locator(".peaks").boundingBox();
  await page.mouse.click(peaks.x + peaks.width * 0.77, peaks.y + 60);
  const clicked = await z();
  assert.notEqual(clicked, first);

  // Accept; what was decided is on disk, and is there after a reload.
  const name = await page.textContent(".title b");
  await page.keyboard.press("3");
  await written(1);
  await until("the row after it", async () => (await page.textContent(".title b")) !== name);
  assert.ok(lines()[1].includes(",ann,3,"), lines()[1]);
  assert.ok(lines()[1].includes(Number(clicked).toFixed(6)) , `${clicked} in ${lines()[1]}`);
  await page.reload();
  await ready(page);
  await until("still one", async () => /1 decided by you/.test(await page.textContent("header")));

  // Keys only: ten rows, a comment, one taken back.
  const keys = async (...all) => { for (const k of all) { await page.keyboard.press(k); await page.waitForTimeout(60); } };
  for (let k = 0; k < 10; k++) {
    const now = await page.textContent(".title b");
    await keys(["4", "3", "0"][k % 3]);
    await written(2 + k);
    await until("the next row", async () => (await page.textContent(".title b")) !== now);
  }
  await keys("s", "S", "g", "t", "l", "y", "e", "k", "K", "+", "j", "h", "-", "r", "x", "?", "Escape");
  await keys("c");
  await page.keyboard.type("two objects, one of them a star");
  await keys("Enter");
  await written(12);
  assert.ok(lines().some((l) => l.includes('"two objects, one of them a star"')));
  await keys("u");
  await written(11);

  // Another inspector, in a program of her own, on the same file.
  const other = await (await browser.newContext({ viewport: { width: 1366, height: 768 }, colorScheme: "dark" })).newPage();
  await other.goto(await serve("c.parquet", "bea"));
  await ready(other);
  await other.click(".table .head button:has-text('p_correct')");
  await until("sorted", async () => (await other.textContent(".table .head")).includes("p_correct ▲"));
  await other.locator(".table .row").first().click();
  await until("ann's decision", async () => /ann: quality 3/.test(await other.textContent(".decisions")));
  await other.keyboard.press("1");
  await written(12);
  await other.locator(".table .row").nth(4).click();
  await shot(other, "inspect-dark");
  await until("both are counted", async () => /of 1 seen by several 0 agree/.test(await page.textContent("header")));
  await page.selectOption("[aria-label='by decision']", "disagreed");
  await until("the one they disagree on", async () => /^1 of 60/.test(await page.textContent("header .faint")));

  // Exports.
  const [file] = await Promise.all([page.waitForEvent("download"), page.click("summary:has-text('save')").then(() => page.click("a:has-text('prospect')"))]);
  const text = readFileSync(await file.path(), "utf8");
  assert.ok(text.startsWith("TARGETID,EXPID,") && text.trim().split("\n").length === 13);

  // A source that is gone: the row stays, and says so. Names are text.
  renameSync(join(folder, "spectra.parquet"), join(folder, "gone.parquet"));
  sh("redshift", evil, "-o", "e.parquet");
  const gone = await context.newPage();
  await gone.goto(await serve("e.parquet", "<i>eve</i>"));
  await ready(gone);
  await until("as text", async () => (await gone.textContent(".title")).includes("<img src=x"));
  assert.equal(await gone.locator(".title img, h1 img").count(), 0);
  await gone.keyboard.press("2");
  await until("by eve", async () => (await gone.textContent(".decisions")).includes("<i>eve</i>"));
  rmSync(join(folder, evil));
  await gone.reload();
  await until("said", async () => (await gone.textContent(".notes")).includes("not there any more"));

  // The static report, from a file: figures zoom, tables sort, nothing is fetched.
  renameSync(join(folder, "gone.parquet"), join(folder, "spectra.parquet"));
  sh("report", "redshift", "spectra.parquet", "-o", "report.html");
  const report = await context.newPage();
  await report.goto(`file://${join(folder, "report.html")}`);
  const figure = report.locator("svg[data-x]").first();
  const ticks = () => figure.locator("text.tick").allTextContents();
  const whole = await ticks();
  await figure.focus();
  await report.keyboard.press("+");
  assert.notDeepEqual(await ticks(), whole);
  await report.keyboard.press("0");
  const at = await figure.boundingBox();
  await report.mouse.move(at.x + at.width * 0.3, at.y + at.height * 0.3);
  await report.mouse.down();
  await report.mouse.move(at.x + at.width * 0.6, at.y + at.height * 0.6, { steps: 3 });
  await report.mouse.up();
  assert.notDeepEqual(await ticks(), whole);
  await shot(report, "report");
  await figure.dblclick();
  assert.ok((await figure.locator("g[clip-path] > g").getAttribute("transform")).startsWith("matrix(1 0 0 1 "));
  const table = report.locator("table:has(th[title=sorts])").first();
  const column = async () => (await table.locator("tr td:nth-child(1)").allTextContents()).join("|");
  const asMade = await column();
  for (const order of ["ascending", "descending"]) {
    await table.locator("th").nth(0).click();
    assert.equal(await table.locator("th").nth(0).getAttribute("aria-sort"), order);
  }
  await table.locator("th").nth(0).click();
  assert.equal(await column(), asMade);

  assert.deepEqual(strangers.filter((u) => !u.startsWith("file:")), []);
  assert.deepEqual(errors, []);
  console.log("slipher inspect in Chromium: all as it should be");
} finally {
  await browser.close();
  running.forEach((c) => c.kill());
  rmSync(folder, { recursive: true, force: true });
}

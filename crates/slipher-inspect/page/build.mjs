// Bundles the page into dist/, which is committed: users need no Node.
import { build } from "esbuild";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";

const out = process.argv[2] ?? "dist";
const licence = (name) => {
  const folder = `node_modules/${name}`;
  const { version, license } = JSON.parse(readFileSync(`${folder}/package.json`, "utf8"));
  return `${name} ${version} (${license})\n${readFileSync(`${folder}/LICENSE`, "utf8").trim()}`;
};
const banner = ["uplot", "@uwdata/flechette"].map(licence).join("\n\n");
await build({
  entryPoints: ["src/main.ts"],
  bundle: true,
  minify: true,
  charset: "utf8",
  target: "es2022",
  format: "iife",
  legalComments: "none",
  outfile: `${out}/page.js`,
  banner: { js: `/*\n${banner.replaceAll("*/", "* /")}\n*/` },
});
const css = ["node_modules/uplot/dist/uPlot.min.css", "src/page.css"];
writeFileSync(`${out}/page.css`, css.map((f) => readFileSync(f, "utf8").trim()).join("\n") + "\n");
copyFileSync("src/page.html", `${out}/page.html`);

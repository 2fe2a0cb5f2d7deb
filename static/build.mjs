// Bundles static/src into static/dist. `--watch` rebuilds on change.
import { rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { context } from "esbuild";

const here = fileURLToPath(new URL(".", import.meta.url));
const shared = {
  absWorkingDir: here,
  bundle: true,
  minify: true,
  sourcemap: true,
  target: "es2022",
  logLevel: "info",
};

const contexts = await Promise.all([
  // Pages: ES modules, split so that each language's grammar loads only when a file needs it.
  context({
    ...shared,
    entryPoints: ["session.ts", "landing.ts", "gone.ts", "session.css", "landing.css"].map((name) => `src/${name}`),
    outdir: "dist",
    entryNames: "[name]",
    chunkNames: "chunks/[name]-[hash]",
    format: "esm",
    splitting: true,
  }),
  // The theme runs before first paint, so it is a classic blocking script.
  context({ ...shared, entryPoints: ["src/theme.ts"], outdir: "dist", entryNames: "[name]", format: "iife" }),
]);

if (process.argv.includes("--watch")) {
  await Promise.all(contexts.map((each) => each.watch()));
} else {
  await rm(`${here}dist`, { recursive: true, force: true });
  try {
    await Promise.all(contexts.map((each) => each.rebuild()));
  } catch {
    process.exitCode = 1; // esbuild has already printed what is wrong
  }
  await Promise.all(contexts.map((each) => each.dispose()));
}

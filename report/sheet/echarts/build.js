// Writes echarts.min.js and LICENSE.txt. The licenses ask that their texts go where the code goes: each report carries the
// short ones in the head of the script, and names the Apache License.
import { readFileSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

// A browser reads each line end as LF before it takes the hash of a script.
const text = (file) => readFileSync(`node_modules/${file}`, "utf8").replaceAll("\r\n", "\n").trim();
const version = (name) => JSON.parse(text(`${name}/package.json`)).version;

const notices = [
  `Apache ECharts ${version("echarts")}, built with only what this page draws. Apache License 2.0: ` +
    `https://www.apache.org/licenses/LICENSE-2.0\n\n${text("echarts/NOTICE")}`,
  `It holds parts of d3:\n\n${text("echarts/licenses/LICENSE-d3")}`,
  `It holds zrender ${version("zrender")}:\n\n${text("zrender/LICENSE")}`,
  `It holds tslib ${version("tslib")}:\n\n${text("tslib/LICENSE.txt")}`,
];

await build({
  entryPoints: ["index.js"],
  outfile: "echarts.min.js",
  bundle: true,
  minify: true,
  format: "iife",
  globalName: "echarts",
  target: "es2020",
  define: { "process.env.NODE_ENV": '"production"' },
  // Those of every file would be the same few again.
  legalComments: "none",
  banner: { js: `/*!\n${notices.join("\n\n---\n\n")}\n*/` },
});

writeFileSync("LICENSE.txt", [text("echarts/LICENSE"), ...notices].join("\n\n---\n\n") + "\n");

// One formula a line in, one line out: {tex, display} -> {html} or {error}. Arguments: the path of katex.js; html, mathml or both.
const readline = require("node:readline");
const katex = require(process.argv[2]);
const output = process.argv[3] || "htmlAndMathml";

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const { tex, display } = JSON.parse(line);
  let answer;
  try {
    answer = { html: katex.renderToString(tex, { displayMode: display, throwOnError: true, strict: "error", output }) };
  } catch (error) {
    answer = { error: String(error.message || error) };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
});

// One next-token distribution behind temperature, top-k and top-p, in this order; what is left is normalised again.
// State: names of the likeliest tokens, logits of all tokens from the largest down.

const make = (tag, properties = {}, ...children) => {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
};

const softmax = (logits) => {
  const raised = logits.map((logit) => Math.exp(logit - logits[0]));
  const sum = raised.reduce((a, b) => a + b, 0);
  return raised.map((each) => each / sum);
};

// Probabilities of the tokens that remain, and how many were left by top-k, then by top-p. Temperature 0 is greedy.
function keep(logits, temperature, topK, topP) {
  if (temperature === 0) return { probs: [1], afterK: 1, afterP: 1 };
  const warm = logits.map((logit) => logit / temperature);
  const byK = softmax(warm.slice(0, topK));
  let mass = 0;
  let count = 0;
  // the token that reaches the mass stays; a billionth is forgiven, since ten times 0.1 is not 1 in floating point
  while (count < byK.length && (topP === 1 || count === 0 || mass < topP - 1e-9)) mass += byK[count++];
  return { probs: softmax(warm.slice(0, count)), afterK: byK.length, afterP: count };
}

const percent = (share) => `${(100 * share).toFixed(1)} %`;

function render({ model, el }) {
  const names = model.get("names");
  const logits = model.get("logits");
  const plain = softmax(logits);

  const slider = (name, properties, say) => {
    const shown = make("output", { ariaLive: "off" });
    const input = make("input", { type: "range", ...properties, oninput: draw });
    input.value = properties.value; // once more: the range is known only now
    return { label: make("label", {}, name, input, shown), input, tell: () => {
      shown.textContent = say(+input.value);
      input.setAttribute("aria-valuetext", shown.textContent);
      return +input.value;
    } };
  };
  const temperature = slider("Temperature", { min: 0, max: 2, step: 0.1, value: 1 }, (t) => (t ? t.toFixed(1) : "0: greedy"));
  const topK = slider("Top-k", { min: 1, max: names.length + 1, step: 1, value: names.length + 1 },
    (k) => (k > names.length ? "off" : `${k}`));
  const topP = slider("Top-p", { min: 0.05, max: 1, step: 0.05, value: 1 }, (p) => (p === 1 ? "off" : p.toFixed(2)));
  const said = make("p", { className: "said", ariaLive: "polite" });

  const rows = names.map((name) => {
    const cells = [make("td"), make("td"), make("td")];
    return { cells, row: make("tr", {}, make("th", { scope: "row", textContent: name }), ...cells) };
  });
  const head = ["Token", "Model", "Drawn with", "Why"].map((name) => make("th", { scope: "col", textContent: name }));
  const table = make("table", {}, make("caption", { textContent: `The likeliest of ${logits.length} tokens` }),
    make("tr", {}, ...head), ...rows.map(({ row }) => row));

  function draw() {
    const t = temperature.tell();
    const k = topK.tell();
    const { probs, afterK, afterP } = keep(logits, t, k > names.length ? logits.length : k, topP.tell());
    rows.forEach(({ cells: [model_, drawn, why] }, i) => {
      model_.textContent = percent(plain[i]);
      drawn.textContent = i < afterP ? percent(probs[i]) : "0";
      drawn.style.setProperty("--share", i < afterP ? 100 * probs[i] : 0);
      why.textContent = i < afterP ? "" : t === 0 ? "not the likeliest" : i < afterK ? "cut by top-p" : "cut by top-k";
    });
    const one = afterP === 1;
    said.textContent = `${afterP} of ${logits.length} tokens remain${afterK > afterP ? ` (${afterK} after top-k)` : ""}: `
      + `“${names[0]}” ${one ? "is certain" : `comes with ${percent(probs[0])}, in place of ${percent(plain[0])}`}.`;
  }

  el.replaceChildren(
    make("div", { className: "controls" }, temperature.label, topK.label, topP.label),
    said, make("div", { className: "wide" }, table));
  draw();
}

export default { render };

// Beam search, step by step: a tree as nested lists, each beginning with its probability, its sum and its fate.
// State: steps, runs: beams, nodes {step, parent, token, share, sum, fate}, best path as places in nodes, score.

const make = (tag, properties = {}, ...children) => {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
};

function render({ model, el }) {
  const runs = model.get("runs");
  const last = model.get("steps");
  let step = 1;

  const beams = make("select", { onchange: () => go(step) }, ...runs.map((run, i) => new Option(run.beams, i)));
  const back = make("button", { type: "button", textContent: "Back", onclick: () => go(step - 1) });
  const next = make("button", { type: "button", textContent: "Next step", onclick: () => go(step + 1) });
  const said = make("p", { className: "said", ariaLive: "polite" });
  const tree = make("div", { className: "wide tree" });

  function go(to) {
    step = Math.max(1, Math.min(last, to));
    const run = runs[beams.value];
    const text = (at) => (at < 0 ? "" : `${text(run.nodes[at].parent)} ${run.nodes[at].token}`.trim());
    const won = step === last ? new Set(run.best) : new Set();

    const branch = (parent) => {
      const items = run.nodes.flatMap((node, at) => {
        if (node.parent !== parent || node.step > step) return [];
        const words = `${node.token} ${node.share} % · sum ${node.sum.toFixed(2).replace("-", "−")} · `;
        const fate = won.has(at) ? "found" : node.fate;
        const item = make("li", {}, make("span", { className: won.has(at) ? "chosen" : "" }, words, make("em", { textContent: fate })));
        if (node.fate === "goes on") item.append(...branch(at));
        return [item];
      });
      return items.length ? [make("ul", {}, ...items)] : [];
    };
    tree.replaceChildren(...branch(-1));

    const now = run.nodes.flatMap((node, at) => (node.step === step ? [[node, at]] : []));
    const list = (fate) => now.filter(([node]) => node.fate === fate).map(([, at]) => `“${text(at)}”`).join(", ");
    const parts = [["goes on", "On go"], ["ends", "Ended"]].filter(([fate]) => list(fate)).map(([fate, name]) => `${name}: ${list(fate)}.`);
    const found = step === last
      ? ` Found: “${text(run.best.at(-1))}”, score ${run.score.toFixed(2).replace("-", "−")}.` : "";
    said.textContent = `Step ${step} of ${last}, ${run.beams} beam${run.beams > 1 ? "s" : ""}. ${parts.join(" ")}${found}`;

    const focused = document.activeElement; // a button that is disabled must not take the focus with it
    back.disabled = step === 1;
    next.disabled = step === last;
    if (focused === next && next.disabled) back.focus();
    if (focused === back && back.disabled) next.focus();
  }

  el.replaceChildren(make("div", { className: "controls" }, make("label", {}, "Beams", beams), back, next), said, tree);
  go(1);
}

export default { render };

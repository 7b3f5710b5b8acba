// The cache of keys and values, call by call: a box for each token, and whether it is read, computed or cut off.
// State: token and its parts in bytes, steps {name, past, new, lost, computed, uncached}; the last two are sums so far.

const make = (tag, properties = {}, ...children) => {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
};

const tokens = (n) => `${n} token${n === 1 ? "" : "s"}`;
const count = (n) => n.toLocaleString("en");

function render({ model, el }) {
  const steps = model.get("steps");
  const bytes = (n) => `${count(n * model.get("token"))} bytes`;
  let step = 0;

  const back = make("button", { type: "button", textContent: "Back", onclick: () => go(step - 1) });
  const next = make("button", { type: "button", textContent: "Next call", onclick: () => go(step + 1) });
  const said = make("p", { className: "said", ariaLive: "polite" });
  const boxes = make("ol", { className: "tokens fates", ariaLabel: "Tokens in the cache" });
  const head = ["Call", "What", "Computed", "Read", "Held"].map((name) => make("th", { scope: "col", textContent: name }));
  const table = make("table");

  // What the cache holds after the first `calls` calls.
  const held = (calls) => steps.slice(0, calls).reduce((text, { past, new: fed }) => [...text.slice(0, past), ...fed], []);

  function go(to) {
    step = Math.max(0, Math.min(steps.length - 1, to));
    const { name, past, new: fed, lost, computed, uncached } = steps[step];
    const before = held(step).slice(0, past);
    const box = (fate) => (each) => make("li", { className: fate === "new" ? "chosen" : fate }, each, make("small", { textContent: fate }));
    boxes.replaceChildren(...before.map(box(fed.length ? "read" : "kept")), ...fed.map(box("new")), ...lost.map(box("cut")));

    table.replaceChildren(
      make("caption", { textContent: "Calls so far, in tokens" }), make("tr", {}, ...head),
      ...steps.slice(0, step + 1).map((each, i) => make("tr", { className: i === step ? "chosen" : "" },
        make("th", { scope: "row", textContent: i + 1 }),
        ...[each.name, ...(each.new.length ? [each.new.length, each.past] : ["", ""]), each.past + each.new.length]
          .map((cell) => make("td", { textContent: cell })))));

    const after = past + fed.length;
    said.textContent = `Call ${step + 1} of ${steps.length}, ${name}: ` + (fed.length
      ? `${tokens(fed.length)} computed anew, keys and values of ${past} read. `
      : `nothing is computed, the last ${tokens(lost.length)} forgotten. `)
      + `The cache holds ${tokens(after)}: ${bytes(after)}. `
      + `So far ${count(computed)} computed; without a cache ${count(uncached)}.`;

    const focused = document.activeElement; // a button that is disabled must not take the focus with it
    back.disabled = step === 0;
    next.disabled = step === steps.length - 1;
    if (focused === next && next.disabled) back.focus();
    if (focused === back && back.disabled) next.focus();
  }

  el.replaceChildren(
    make("div", { className: "controls" }, back, next), boxes, said, make("div", { className: "wide" }, table),
    make("p", { textContent: `A token takes ${model.get("parts")} = ${bytes(1)}.` }));
  go(0);
}

export default { render };

// A word, merge by merge: its tokens as boxes, and the pairs that may be merged next with the rank they were learned at.
// State: words, each with its name and its steps; a step has tokens and possible [place, left, right, rank].

const make = (tag, properties = {}, ...children) => {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
};

function render({ model, el }) {
  const words = model.get("words");
  let step = 0;

  const select = make("select", { onchange: () => go(0) }, ...words.map(({ word }, i) => new Option(word, i)));
  const back = make("button", { type: "button", textContent: "Back", onclick: () => go(step - 1) });
  const next = make("button", { type: "button", textContent: "Next merge", onclick: () => go(step + 1) });
  const said = make("p", { className: "said", ariaLive: "polite" });
  const boxes = make("ol", { className: "tokens", ariaLabel: "Tokens" });
  const table = make("table");

  function go(to) {
    const { word, steps } = words[select.value];
    step = Math.max(0, Math.min(steps.length - 1, to));
    const { tokens, possible } = steps[step];
    // the earliest learned of all that are possible comes next, at each place where it stands
    const rank = Math.min(...possible.map((row) => row[3]));
    const chosen = possible.filter((row) => row[3] === rank);
    const touched = new Set(chosen.flatMap(([place]) => [place, place + 1]));
    boxes.replaceChildren(...tokens.map((token, place) =>
      make("li", { textContent: token, className: touched.has(place) ? "chosen" : "" })));

    const head = ["Pair", "Rank", ""].map((name) =>
      name ? make("th", { scope: "col", textContent: name }) : make("td"));
    table.replaceChildren(
      make("caption", { textContent: "Pairs that may be merged" }),
      make("tr", {}, ...head),
      ...possible.map(([, left, right, at]) => make("tr", { className: at === rank ? "chosen" : "" },
        make("th", { scope: "row", textContent: `${left} + ${right}` }),
        make("td", { textContent: at }),
        make("td", { textContent: at === rank ? "next: learned first" : "" }))));
    table.hidden = possible.length === 0;

    said.textContent = `${word} after ${step} of ${steps.length - 1} merges: ${tokens.length} token${tokens.length > 1 ? "s" : ""}. `
      + (chosen.length ? `Next: ${chosen[0][1]} + ${chosen[0][2]}, rank ${rank}.` : "No pair is in the list: done.");

    // a button that is disabled while it has the focus would lose the reader's place
    const focused = document.activeElement;
    back.disabled = step === 0;
    next.disabled = step === steps.length - 1;
    if (focused === next && next.disabled) back.focus();
    if (focused === back && back.disabled) next.focus();
  }

  el.replaceChildren(
    make("div", { className: "controls" }, make("label", {}, "Word", select), back, next),
    boxes, said, make("div", { className: "wide" }, table));
  go(0);
}

export default { render };

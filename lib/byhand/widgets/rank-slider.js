// A matrix cut to a rank: singular values that stay and go, a corner of what is left beside the whole, and the sums.
// State: shape, ranks, shares and sizes in percent, measured {name: values}, corners[rank] and whole in hundredths.

const make = (tag, properties = {}, ...children) => {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
};

// A small table of whole numbers; the stronger the tint, the larger the number, whatever its sign.
const grid = (name) => {
  const table = make("table");
  const fill = (rows) => table.replaceChildren(
    make("caption", { textContent: name }),
    ...rows.map((row) => make("tr", {}, ...row.map((value) => {
      const cell = make("td", { textContent: value < 0 ? `−${-value}` : value });
      cell.style.cssText = `--share: ${Math.min(100, Math.abs(value))}; text-align: right; min-width: 2.6em`;
      return cell;
    }))));
  return [make("div", { className: "wide" }, table), fill];
};

function render({ model, el }) {
  const [rows, columns] = model.get("shape");
  const ranks = model.get("ranks");
  const measured = Object.entries(model.get("measured"));
  const sizes = model.get("sizes");

  const slider = make("input", { type: "range", min: 0, max: ranks.length - 1, step: 1, oninput: draw });
  const shown = make("output", { ariaLive: "off" });
  const said = make("p", { className: "said", ariaLive: "polite" });
  // the picture repeats what the sentence says
  const bars = make("div", { className: "bars", ariaHidden: true }, ...sizes.map((size) => {
    const bar = make("span");
    bar.style.height = `${size}%`;
    return bar;
  }));
  const [left, fillLeft] = grid("Corner of what is left");
  const [right, fillRight] = grid("The same corner, uncut");
  fillRight(model.get("whole"));
  slider.value = Math.min(2, ranks.length - 1);

  function draw() {
    const at = +slider.value;
    const rank = ranks[at];
    shown.textContent = rank;
    slider.setAttribute("aria-valuetext", `rank ${rank}`);
    [...bars.children].forEach((bar, i) => { bar.className = i < rank ? "kept" : ""; });
    fillLeft(model.get("corners")[at]);
    const found = measured.map(([name, values]) => ` ${name}: ${values[at].toFixed(2)}.`).join("");
    said.textContent = `Rank ${rank} of ${Math.min(rows, columns)} keeps ${model.get("shares")[at]} % (as a sum of squares) with `
      + `${(rank * (rows + columns)).toLocaleString("en")} numbers in place of ${(rows * columns).toLocaleString("en")}.${found}`;
  }

  el.replaceChildren(
    make("div", { className: "controls" }, make("label", {}, "Rank", slider, shown)), said,
    make("p", { textContent: `The ${sizes.length} largest singular values, the kept ones filled:` }), bars,
    make("div", { className: "pair" }, left, right),
    make("p", { textContent: "Entries in hundredths of the largest one of the corner." }));
  draw();
}

export default { render };

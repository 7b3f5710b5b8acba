// Measured losses and the law E + A / N^alpha: fitted to some of the sizes, or set by hand.
// State: runs [N, loss], sizes, fits {used, E, A, alpha}: of the smallest sizes, from few to all.

const make = (tag, properties = {}, ...children) => {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
};

const draw = (tag, attributes = {}, ...children) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
};

const HEIGHT = 480;
const three = (value) => String(+value.toPrecision(3)).replace("-", "−");

function render({ model, el }) {
  const runs = model.get("runs");
  const sizes = model.get("sizes");
  const fits = model.get("fits");
  const losses = runs.map(([, loss]) => loss);
  const middle = Math.exp(sizes.reduce((sum, size) => sum + Math.log(size), 0) / sizes.length);
  let law = {};

  const slider = (name, properties, changed) => {
    const shown = make("output", { ariaLive: "off" });
    const input = make("input", { type: "range", ...properties, oninput: () => { changed(+input.value); redraw(); } });
    const show = (value, text) => {
      input.value = value;
      shown.textContent = text;
      input.setAttribute("aria-valuetext", text);
    };
    return { label: make("label", {}, name, input, shown), input, show };
  };
  const factors = fits.map((fit) => Math.log10(fit.A));
  const used = slider("Sizes in the fit", { min: 0, max: fits.length - 1, step: 1 }, (at) => { law = { ...fits[at], at }; });
  const floor = slider("E", { min: 0, max: Math.max(Math.min(...losses), ...fits.map((fit) => fit.E)), step: 0.01 },
    (E) => { law = { ...law, E, hand: true }; });
  const factor = slider("A", { min: Math.min(...factors) - 1, max: Math.max(...factors) + 1, step: 0.01 },
    (power) => { law = { ...law, A: 10 ** power, hand: true }; });
  // the curve turns around the middle size; with A left alone it would leave the picture at once
  const exponent = slider("alpha", { min: 0, max: 1.5, step: 0.01 },
    (alpha) => { law = { ...law, alpha, A: law.A * middle ** (alpha - law.alpha), hand: true }; });
  const again = make("button", { type: "button", textContent: "Back to the fit", onclick: () => { law = { ...fits[law.at], at: law.at }; redraw(); } });
  const said = make("p", { className: "said", ariaLive: "polite" });
  const picture = draw("svg", { viewBox: `-70 -30 1090 ${HEIGHT + 90}`, class: "law", role: "img" });
  const head = ["N", "Measured", "Law", "Off by", ""].map((name) => (name ? make("th", { scope: "col", textContent: name }) : make("td")));
  const table = make("table");

  const [low, high] = [Math.min(...losses), Math.max(...losses)];
  const x = (size) => 1000 * Math.log(size / sizes[0]) / Math.log(sizes.at(-1) / sizes[0]);
  const y = (loss) => 30 + (HEIGHT - 60) * (high - loss) / (high - low || 1);

  function redraw() {
    const { E, A, alpha, at, hand } = law;
    const says = (size) => E + A / size ** alpha;
    const inside = (size) => size <= sizes[fits[at].used - 1];
    used.show(at, `${fits[at].used} of ${sizes.length}`);
    floor.show(E, three(E));
    factor.show(Math.log10(A), three(A));
    exponent.show(alpha, three(alpha));

    const curve = Array.from({ length: 81 }, (_, i) => sizes[0] * (sizes.at(-1) / sizes[0]) ** (i / 80));
    const visible = curve.filter((size) => y(says(size)) > -30 && y(says(size)) < HEIGHT + 50);
    picture.replaceChildren(
      draw("path", { d: visible.map((size, i) => `${i ? "L" : "M"}${x(size).toFixed(1)} ${y(says(size)).toFixed(1)}`).join("") }),
      ...runs.map(([size, loss]) => (inside(size) ? draw("circle", { cx: x(size), cy: y(loss), r: 11 })
        : draw("rect", { x: -11, y: -11, width: 22, height: 22, transform: `translate(${x(size)} ${y(loss)}) rotate(45)` }))),
      draw("text", { x: -66, y: y(high) - 16 }, three(high)), draw("text", { x: -66, y: y(low) + 12 }, three(low)),
      draw("text", { x: 0, y: HEIGHT + 48 }, sizes[0].toLocaleString("en")),
      draw("text", { x: 1000, y: HEIGHT + 48, "text-anchor": "end" }, `N = ${sizes.at(-1).toLocaleString("en")}`));
    picture.setAttribute("aria-label", `Loss by size: ${runs.length} runs and the curve of the law`);

    const miss = ([size, loss]) => says(size) / loss - 1;
    const off = (share) => `${share < 0 ? "−" : "+"}${(100 * Math.abs(share)).toFixed(1)} %`;
    table.replaceChildren(
      make("caption", { textContent: "The law beside what was measured" }), make("tr", {}, ...head),
      ...runs.map((run) => make("tr", {}, make("th", { scope: "row", textContent: run[0].toLocaleString("en") }),
        ...[run[1].toFixed(2), says(run[0]).toFixed(2), off(miss(run)), inside(run[0]) ? "in the fit" : "foretold"]
          .map((cell) => make("td", { textContent: cell })))));

    const mine = runs.filter(([size]) => inside(size)).map(miss);
    const residual = Math.sqrt(mine.reduce((sum, each) => sum + each * each, 0) / mine.length);
    const top = runs.filter(([size]) => size === sizes.at(-1));
    const measured = top.reduce((sum, [, loss]) => sum + loss, 0) / top.length;
    const gap = says(sizes.at(-1)) / measured - 1;
    said.textContent = `${hand ? "Set by hand" : `Fitted to ${fits[at].used} of ${sizes.length} sizes`}: `
      + `E ${three(E)}, A ${three(A)}, alpha ${three(alpha)}. `
      + `On ${inside(sizes.at(-1)) ? "all sizes" : `the ${fits[at].used} smallest`} it is off by ${(100 * residual).toFixed(1)} %. `
      + `Of the largest it says ${three(says(sizes.at(-1)))}; measured ${three(measured)}: `
      + (Math.abs(gap) < 0.0005 ? "as it is." : `${(100 * Math.abs(gap)).toFixed(1)} % too ${gap > 0 ? "high" : "low"}.`);
  }

  el.replaceChildren(
    make("div", { className: "controls" }, used.label, floor.label, factor.label, exponent.label, again), said, picture,
    make("p", { textContent: "Discs: sizes in the fit. Diamonds: the others. The curve: the law." }),
    make("div", { className: "wide" }, table));
  law = { ...fits[0], at: 0 };
  redraw();
}

export default { render };

// The magnitudes of a gradient beside what fp16 holds; the slider multiplies the loss, and so all of them, by 2^k.
// State: total, zeros, first exponent, shares in percent by exponent, scales [zero, subnormal, infinite] in percent by k,
// fits: the largest k without an infinity, or null.

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

// Where fp16's zones begin, as powers of two.
const ZONES = [["zero", -Infinity], ["subnormal", -25], ["normal", -14], ["infinite", 16]];
const HEIGHT = 320;

function render({ model, el }) {
  const first = model.get("first");
  const shares = model.get("shares");
  const scales = model.get("scales");
  const fits = model.get("fits");

  const slider = make("input", { type: "range", min: 0, max: scales.length - 1, step: 1, value: 0, oninput: redraw });
  slider.value = 0;
  const shown = make("output", { ariaLive: "off" });
  const said = make("p", { className: "said", ariaLive: "polite" });

  const left = Math.min(first, -34);
  const right = Math.max(first + shares.length, 28);
  const x = (power) => 1000 * (power - left) / (right - left);
  const most = Math.max(...shares);
  const bars = shares.map((share) => draw("rect", { y: HEIGHT - HEIGHT * share / most, width: x(left + 1) - 4, height: HEIGHT * share / most }));
  const zones = ZONES.flatMap(([name, from], i) => {
    const begin = Math.max(left, from);
    const end = i + 1 < ZONES.length ? ZONES[i + 1][1] : right;
    const label = draw("text", { x: x((begin + end) / 2), y: -20, "text-anchor": "middle" }, name);
    return i ? [label, draw("path", { d: `M${x(from)} -10V${HEIGHT + 10}` }),
      draw("text", { x: x(from), y: HEIGHT + 46, "text-anchor": "middle" }, `${from}`.replace("-", "−"))] : [label];
  });
  const picture = draw("svg", { viewBox: `0 -60 1000 ${HEIGHT + 116}`, class: "zones", role: "img",
    "aria-label": "Bars: how many numbers of the gradient have which power of two, in fp16's zones zero, subnormal, normal and infinite" },
    ...bars, ...zones, draw("path", { d: `M0 ${HEIGHT}H1000` }));

  function redraw() {
    const power = +slider.value;
    const [gone, poor, infinite] = scales[power];
    bars.forEach((bar, i) => {
      const at = first + i + power;
      const zone = ZONES.findLast(([, from]) => at >= from)[0];
      bar.setAttribute("x", x(at) + 2);
      bar.setAttribute("class", zone);
    });
    shown.textContent = `2^${power}`;
    slider.setAttribute("aria-valuetext", `2 to the power of ${power}`);
    said.textContent = `Loss times 2^${power} = ${(2 ** power).toLocaleString("en")}: ${gone} % of the numbers become zero, `
      + `${poor} % are subnormal and lose digits, `
      + (infinite ? `${infinite} % become infinite: no step can be made with them. ` : "none becomes infinite. ")
      + (fits === null ? "Without any scale some are too large." : fits === scales.length - 1 ? "No scale here is too large."
        : `2^${fits} is the largest that makes none infinite.`);
  }

  const zeros = model.get("zeros");
  el.replaceChildren(
    make("div", { className: "controls" }, make("label", {}, "Loss times", slider, shown)), said, picture,
    make("p", { textContent: `${model.get("total").toLocaleString("en")} numbers of a gradient by their power of two`
      + `${zeros ? `; ${zeros.toLocaleString("en")} more are exactly 0` : ""}. Filled: held with all digits; half: with fewer; empty: lost.` }));
  redraw();
}

export default { render };

// Weights of one row as points, the levels of their grid as lines, and a bar chart of the same weights at the side.
// State: bits, rows {name, unit, values in thousandths of it}, grids {name, takes, errors, rows {errors, used, spans
// [from, to, least, largest level]}}; takes, errors and used by place in bits.

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

const WIDTH = 760; // of the row; the bars stand to the right of it
const HEIGHT = 460;
const BINS = 23;

function render({ model, el }) {
  const bits = model.get("bits");
  const grids = model.get("grids");
  const rows = model.get("rows");
  const number = (value) => String(+(value * rows[row.value].unit / 1000).toPrecision(2)).replace("-", "−");

  const chooser = (options) => make("select", { onchange: redraw }, ...options.map(({ name }, i) => new Option(name, i)));
  const [grid, row] = [chooser(grids), chooser(rows)];
  const slider = make("input", { type: "range", min: 0, max: bits.length - 1, step: 1, oninput: redraw });
  slider.value = bits.indexOf(4);
  const shown = make("output", { ariaLive: "off" });
  const said = make("p", { className: "said", ariaLive: "polite" });
  const picture = draw("svg", { viewBox: `0 -50 1000 ${HEIGHT + 96}`, class: "weights", role: "img" });

  function redraw() {
    const at = +slider.value;
    const { name, takes, errors, rows: mine } = grids[grid.value];
    const { values, name: label } = rows[row.value];
    const { errors: own, used, spans } = mine[row.value];
    const levels = 2 ** bits[at];

    const [low, high] = [Math.min(...values), Math.max(...values)];
    const y = (value) => HEIGHT * (high - value) / (high - low || 1);
    const x = (place) => WIDTH * place / values.length;
    let lines = "";
    let misses = "";
    const steps = spans.map(([from, to, least, largest]) => {
      const step = (largest - least) / (levels - 1) || 1;
      // outside of what the row holds there is nothing to draw; its weights were rounded to thousandths
      for (let i = Math.max(0, Math.ceil((low - 1 - least) / step)); i < levels && least + i * step <= high + 1; i++) {
        lines += `M${x(from)} ${y(least + i * step).toFixed(1)}H${spans.length > 1 ? x(to) : 1000}`;
      }
      values.slice(from, to).forEach((value, i) => {
        const level = least + step * Math.min(levels - 1, Math.round((value - least) / step));
        misses += `M${x(from + i + 0.5).toFixed(1)} ${y(value).toFixed(1)}V${y(level).toFixed(1)}`;
      });
      return step;
    });

    const counts = Array(BINS).fill(0);
    values.forEach((value) => counts[Math.min(BINS - 1, Math.floor(BINS * y(value) / HEIGHT))]++);
    const most = Math.max(...counts);
    picture.replaceChildren(
      ...counts.map((n, i) => draw("rect", { x: WIDTH + 30, y: i * HEIGHT / BINS + 2, width: 200 * n / most, height: HEIGHT / BINS - 4 })),
      draw("path", { d: lines, class: bits[at] < 6 ? "levels" : "levels dense" }), draw("path", { d: misses, class: "misses" }),
      ...values.map((value, i) => draw("circle", { cx: x(i + 0.5), cy: y(value), r: 5 })),
      draw("text", { x: WIDTH + 24, y: -14 }, number(high)), draw("text", { x: WIDTH + 24, y: HEIGHT + 40 }, number(low)));
    picture.setAttribute("aria-label", `${values.length} weights of row ${label}, from ${number(low)} to ${number(high)}, and the levels of their grid`);

    shown.textContent = bits[at];
    slider.setAttribute("aria-valuetext", `${bits[at]} bits`);
    const [least, largest] = [Math.min(...steps), Math.max(...steps)];
    said.textContent = `${bits[at]} bits, a grid for ${name}: ${levels} levels, `
      + (spans.length > 1 ? `steps of ${number(least)} to ${number(largest)}` : `a step of ${number(least)}`)
      + `; row ${label} uses ${used[at]}${name.includes("group") ? " in a group, on average" : " of them"}. `
      + `Error: ${own[at]} % in this row, ${errors[at]} % in the matrix. A weight takes ${takes[at].toFixed(2)} bits with its grid.`;
  }

  el.replaceChildren(
    make("div", { className: "controls" }, make("label", {}, "A grid for", grid), make("label", {}, "Bits", slider, shown), make("label", {}, "Row", row)),
    said, picture,
    make("p", { textContent: "Points: weights of the row, in order. Lines: the levels that there are; a stroke leads from each weight to its level. "
      + "Bars: how many of these weights are how large." }));
  redraw();
}

export default { render };

// Where one head looks: a table of percent, one row for each token that asks, and one sentence about the chosen row.
// State: tokens, weights[layer][head][query][key] in percent, start [layer, head] counted from 1.

const make = (tag, properties = {}, ...children) => {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
};

// A labelled choice of 1 to n.
const chooser = (name, n, value, changed) => {
  const select = make("select", { onchange: changed }, ...Array.from({ length: n }, (_, i) => new Option(i + 1, i)));
  select.value = value;
  return [make("label", {}, name, select), select];
};

function render({ model, el }) {
  const tokens = model.get("tokens");
  const weights = model.get("weights");
  const [layer, head] = model.get("start");
  let query = tokens.length > 2 ? 1 : 0; // behind a sign for the beginning

  const [layerLabel, layers] = chooser("Layer", weights.length, layer - 1, draw);
  const [headLabel, heads] = chooser("Head", weights[0].length, head - 1, draw);
  const said = make("p", { className: "said", ariaLive: "polite" });

  // One row is chosen at a time: Tab reaches its button, arrow keys choose another, as in a group of radio buttons.
  const buttons = tokens.map((token, row) =>
    make("button", { type: "button", textContent: token, onclick: () => choose(row) }));
  const cells = tokens.map(() => tokens.map(() => make("td")));
  const rows = tokens.map((_, row) => {
    const heading = make("th", { scope: "row" }, buttons[row]);
    return make("tr", {}, heading, ...cells[row]);
  });
  const top = make("tr", {}, make("td"), ...tokens.map((token) => make("th", { scope: "col", textContent: token })));
  const caption = make("caption", { textContent: "Each row: where that token looks, in percent" });
  const table = make("table", { className: "map", onkeydown: turn }, caption, top, ...rows);

  function choose(row) {
    query = Math.max(0, Math.min(tokens.length - 1, row));
    draw();
    buttons[query].focus();
  }

  function turn(event) {
    const to = { ArrowUp: query - 1, ArrowDown: query + 1, Home: 0, End: tokens.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    choose(to);
  }

  function draw() {
    const map = weights[layers.value][heads.value];
    map.forEach((row, q) => {
      rows[q].className = q === query ? "chosen" : "";
      buttons[q].tabIndex = q === query ? 0 : -1;
      buttons[q].ariaPressed = q === query;
      row.forEach((percent, k) => {
        cells[q][k].textContent = percent || "·";
        cells[q][k].style.setProperty("--share", percent);
      });
    });
    const best = map[query].map((percent, k) => [percent, k]).sort((a, b) => b[0] - a[0] || a[1] - b[1]).slice(0, 3);
    const places = best.filter(([percent]) => percent > 0)
      .map(([percent, k]) => `${k === query ? "itself" : `“${tokens[k]}” (place ${k + 1})`} ${percent} %`);
    said.textContent = `Layer ${+layers.value + 1}, head ${+heads.value + 1}: `
      + `“${tokens[query]}” (place ${query + 1}) looks at ${places.join(", ")}.`;
  }

  el.replaceChildren(make("div", { className: "controls" }, layerLabel, headLabel), said, make("div", { className: "wide" }, table));
  draw();
}

export default { render };

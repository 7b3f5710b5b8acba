// Texts in a plane, each drawn as the number of its cluster. One cluster is read at a time, from its centre outwards.
// State: texts, points [x, y] of 1000, clusters {number, members from the centre outwards}, chosen places, kinds or null.

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

const texts = (n) => `${n} text${n > 1 ? "s" : ""}`;

function render({ model, el }) {
  const clusters = model.get("clusters");
  const chosen = new Set(model.get("chosen"));
  const kinds = model.get("kinds");
  const points = model.get("points");
  const name = (place) => `“${model.get("texts")[place]}”${kinds ? ` (${kinds[place]})` : ""}`;

  const select = make("select", { onchange: () => walk(0) },
    ...clusters.map(({ number, members }, i) => new Option(`${number}: ${texts(members.length)}`, i)));
  const slider = make("input", { type: "range", min: 0, step: 1, oninput: () => walk(+slider.value) });
  // two nodes in one live region: while one walks through a cluster only the second is read again
  const about = make("span");
  const here = make("span");
  const said = make("p", { className: "said", ariaLive: "polite" }, about, " ", here);

  const height = Math.max(...points.map(([, y]) => y));
  const marks = points.map(([x, y], place) => draw("g", { transform: `translate(${x} ${height - y})` },
    ...(chosen.has(place) ? [draw("rect", { x: -26, y: -26, width: 52, height: 52 })] : []),
    draw("text", { "text-anchor": "middle", dy: ".35em" })));
  clusters.forEach(({ number, members }, cluster) => members.forEach((place, at) => {
    marks[place].lastChild.textContent = number;
    marks[place].onclick = () => { select.value = cluster; walk(at); };
  }));
  const ring = draw("circle", { r: 34 });
  const layer = draw("g");
  const map = draw("svg", { viewBox: `-45 -45 1090 ${height + 90}`, class: "points", role: "img",
    "aria-label": `${texts(points.length)} in a plane, drawn as the numbers of their clusters` }, layer, ring);

  function walk(at) {
    const { number, members } = clusters[select.value];
    const inside = new Set(members);
    slider.max = members.length - 1;
    slider.value = at;
    const place = members[at];

    marks.forEach((mark, i) => mark.setAttribute("class", inside.has(i) ? "inside" : ""));
    layer.replaceChildren(...marks.filter((_, i) => !inside.has(i)), ...members.map((i) => marks[i])); // on top
    ring.setAttribute("transform", marks[place].getAttribute("transform"));

    const counts = {};
    if (kinds) members.forEach((i) => { counts[kinds[i]] = (counts[kinds[i]] || 0) + 1; });
    const [kind] = Object.keys(counts).sort((a, b) => counts[b] - counts[a]);
    const mine = members.flatMap((i, rank) => (chosen.has(i) ? [`${name(i)}, place ${rank + 1} from the centre`] : []));
    const sentence = `Cluster ${number}: ${texts(members.length)}${kind ? `, ${counts[kind]} of the kind ${kind}` : ""}. `
      + (mine.length ? `Chosen: ${mine.join("; ")}.` : "None was chosen.");
    if (about.textContent !== sentence) about.textContent = sentence;
    // what has just been read as the chosen one is not read twice
    const what = !chosen.has(place) ? name(place) : mine.length > 1 ? `${name(place)}, one of the chosen` : "the chosen one";
    here.textContent = `Place ${at + 1}: ${what}.`;
    slider.setAttribute("aria-valuetext", `place ${at + 1} of ${members.length}`);
  }

  el.replaceChildren(
    make("div", { className: "controls" }, make("label", {}, "Cluster", select), make("label", {}, "Go outwards", slider)),
    said, map,
    make("p", { textContent: "Each number is a text in its cluster. A square: chosen. The circle: the text that is read above." }));
  walk(0);
}

export default { render };

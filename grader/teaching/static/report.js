// The table of students: rows come from the JSON in the page, and are only ever written as text.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const [NAME, TOTAL, WAITING, LOOK, RESULT, SECONDS, MEMORY, FIRST] = [0, 1, 2, 3, 4, 5, 6, 7];
  const section = document.getElementById("table");
  const body = section.querySelector("tbody");
  const headings = [...section.querySelectorAll("thead th")];
  const search = document.getElementById("search");
  const choice = document.getElementById("choice");
  const size = document.getElementById("size");
  const status = document.getElementById("status");
  const before = document.getElementById("before");
  const after = document.getElementById("after");
  const key = (text) => text.normalize("NFC").toLocaleLowerCase();
  const rows = data.rows.map((row, place) => ({ row, place, key: key(row[NAME]) }));
  const choices = {
    all: () => true,
    waiting: ({ row }) => row[WAITING] > 0,
    look: ({ row }) => row[LOOK] > 0,
    full: ({ row }) => row[TOTAL] >= data.most,
    none: ({ row }) => row[TOTAL] === 0,
  };
  let found = rows;
  let sorted = { column: NAME, down: false };
  let start = 0;

  function cell(row, text, kind) {
    const made = document.createElement("td");
    made.textContent = text;
    made.className = kind;
    row.append(made);
  }

  function points(value, most) {
    if (value === null) return ["–", "number"];
    return [String(value), `number ${value >= most ? "good" : value > 0 ? "part" : "bad"}`];
  }

  function draw(entry) {
    const { row } = entry;
    const made = document.createElement("tr");
    const head = document.createElement("th");
    head.scope = "row";
    const name = document.createElement("bdi");
    name.textContent = row[NAME];
    if (row[NAME].length > data.long) name.className = "long";
    if (row[RESULT] && data.before !== null) {
      const link = document.createElement("a");
      link.href = data.before + encodeURIComponent(row[NAME]) + data.after;
      link.append(name);
      head.append(link);
    } else {
      head.append(name);
    }
    made.append(head);
    cell(made, row[TOTAL], "number");
    data.columns.forEach((most, index) => cell(made, ...points(row[FIRST + index], most)));
    cell(made, row[WAITING] || "", "number");
    cell(made, row[LOOK] ? "yes" : "", "");
    if (data.results) {
      cell(made, row[SECONDS] ?? "–", "number");
      cell(made, row[MEMORY] ?? "–", "number");
    }
    return made;
  }

  function show() {
    const count = Number(size.value);
    start = Math.max(0, Math.min(start, found.length - 1));
    start -= start % count;
    const end = Math.min(start + count, found.length);
    body.replaceChildren(...found.slice(start, end).map(draw));
    before.disabled = start === 0;
    after.disabled = end >= found.length;
    const all = `${rows.length.toLocaleString("en")} students`;
    const some = found.length < rows.length ? `${found.length.toLocaleString("en")} found among ${all}` : all;
    status.textContent = found.length ? `${start + 1} to ${end} of ${some}` : `nobody found among ${all}`;
  }

  function compare(a, b) {
    const sign = sorted.down ? -1 : 1;
    if (sorted.column === NAME) return sign * (a.place - b.place);
    const [x, y] = [a.row[sorted.column], b.row[sorted.column]];
    if (x === y) return a.place - b.place;
    if (x === null) return 1; // what is not known stays at the end
    if (y === null) return -1;
    return sign * (x - y);
  }

  function choose() {
    const wanted = key(search.value.trim());
    const fits = choices[choice.value];
    found = rows.filter((entry) => (!wanted || entry.key.includes(wanted)) && fits(entry)).sort(compare);
    start = 0;
    show();
  }

  headings.forEach((heading) => {
    const button = heading.querySelector("button");
    button.addEventListener("click", () => {
      const column = Number(heading.dataset.column);
      // numbers first from the largest, names from A
      const down = sorted.column === column ? !sorted.down : column !== NAME;
      sorted = { column, down };
      headings.forEach((each) => each.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      choose();
    });
  });
  search.addEventListener("input", choose);
  choice.addEventListener("change", choose);
  size.addEventListener("change", choose);
  const move = (step) => {
    start += step * Number(size.value);
    show();
  };
  before.addEventListener("click", () => move(-1));
  after.addEventListener("click", () => move(1));
  section.hidden = false;
  document.getElementById("unscripted").hidden = true;
  show();
  document.documentElement.dataset.ready = "yes";
})();

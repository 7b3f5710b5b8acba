// Speculative decoding, decision by decision: what the draft guessed, what both models think of it, what is written.
// State: prefix, events {round, guesses, place, kind, token} and, but for a bonus, {guess, p, q, coin}, maybe rest.

const make = (tag, properties = {}, ...children) => {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
};

const row = (name, ...values) => make("tr", {}, make("th", { scope: "row", textContent: name }),
  ...values.map((value) => make("td", { textContent: value })));

const small = (value) => (value > 0 && value < 0.0005 ? "< 0.001" : value.toFixed(3));

function render({ model, el }) {
  const prefix = model.get("prefix");
  const events = model.get("events");
  let step = 0;

  const back = make("button", { type: "button", textContent: "Back", onclick: () => go(step - 1) });
  const next = make("button", { type: "button", textContent: "Next decision", onclick: () => go(step + 1) });
  const said = make("p", { className: "said", ariaLive: "polite" });
  const written = make("ol", { className: "tokens", ariaLabel: "Written so far" });
  const open = make("p");
  const table = make("table");

  function go(to) {
    step = Math.max(0, Math.min(events.length - 1, to));
    const event = events[step];
    const { kind, token, guess, p, q, coin } = event;
    const before = [...prefix, ...events.slice(0, step).map((each) => each.token)];
    written.replaceChildren(...before.map((each) => make("li", { textContent: each })),
      make("li", { className: "chosen", textContent: token }));

    const rest = event.guesses.slice(event.place + 1).join(" ");
    const all = event.guesses.length ? `guessed “${event.guesses.join(" ")}”` : "had no room for a guess";
    const lost = kind === "replaced" && rest ? ` Thrown away: “${rest}”.` : kind === "kept" && rest ? ` Still to check: “${rest}”.` : "";
    open.textContent = `Round ${event.round}: the draft ${all}.${lost}`;

    const chance = Math.min(1, p / q);
    table.hidden = kind === "bonus";
    if (!table.hidden) {
      table.replaceChildren(
        make("caption", { textContent: `The guess “${guess}”` }),
        row("draft's q", small(q)), row("target's p", small(p)),
        row("kept with min(1, p / q)", small(chance)), row("the coin", coin.toFixed(3)),
        ...(event.rest || []).map(([name, share]) => row(`replaced by “${name}” with`, `${share} %`)));
    }
    said.textContent = `Decision ${step + 1} of ${events.length}: ` + {
      kept: () => `“${guess}” is kept, since the coin ${coin.toFixed(3)} is below ${chance.toFixed(3)}.`,
      replaced: () => `“${guess}” is rejected, since the coin ${coin.toFixed(3)} is not below ${small(chance).replace("< ", "")}; `
        + `“${token}” is drawn from what p has more than q.`,
      bonus: () => event.guesses.length
        ? `all guesses were kept, so the target adds “${token}” for nothing.`
        : `nothing was guessed, the target writes “${token}” itself.`,
    }[kind]();

    const focused = document.activeElement; // a button that is disabled must not take the focus with it
    back.disabled = step === 0;
    next.disabled = step === events.length - 1;
    if (focused === next && next.disabled) back.focus();
    if (focused === back && back.disabled) next.focus();
  }

  el.replaceChildren(make("div", { className: "controls" }, back, next), written, open, said, make("div", { className: "wide" }, table));
  go(0);
}

export default { render };

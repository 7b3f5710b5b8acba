// Questions with choices. Without script each choice is a row to open; here one chooses first, then asks.
// Every choice has its explanation; a page with several questions keeps count of what was right at the first try.

const element = (name, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
};

function ask(quiz, number, all, told) {
  const title = quiz.querySelector(":scope > .admonition-title");
  if (all > 1) title.textContent += ` ${number + 1} of ${all}`;
  const rows = [...quiz.querySelectorAll(":scope > details")];
  const question = [...quiz.children].filter((child) => child !== title && !rows.includes(child));
  const status = element("p", { className: "quiz-told", role: "status" });
  const button = element("button", { type: "button", textContent: "Check" });
  let tries = 0;

  const choices = rows.map((row, index) => {
    const [summary, ...explanation] = row.children;
    const radio = element("input", { type: "radio", name: `quiz-${number}`, value: String(index) });
    const words = element("span", {}, ...summary.childNodes);
    // not every reader of screens takes a name from MathML
    if (words.querySelector("math")) radio.setAttribute("aria-label", spoken(words));
    const why = element("div", { className: "quiz-why", hidden: true }, ...explanation);
    const right = row.classList.contains("right");
    const box = element("div", { className: `quiz-choice ${right ? "right" : "wrong"}` }, element("label", {}, radio, words), why);
    radio.addEventListener("change", () => button.setAttribute("aria-disabled", "false"));
    return { radio, why, box, right, reveal() { why.hidden = false; box.classList.add("told"); } };
  });

  button.setAttribute("aria-disabled", "true");
  button.addEventListener("click", () => {
    const chosen = choices.find((choice) => choice.radio.checked);
    if (!chosen || button.getAttribute("aria-disabled") === "true") {
      status.textContent = "Choose an answer first.";
      return;
    }
    tries += 1;
    chosen.reveal();
    status.textContent = spoken(chosen.why);
    button.setAttribute("aria-disabled", "true");
    if (chosen.right) {
      // now it helps to read why the others are wrong
      for (const choice of choices) {
        choice.reveal();
        choice.radio.disabled = !choice.radio.checked;
      }
      button.remove();
      told(tries);
    }
  });

  const fieldset = element("fieldset", {}, element("legend", {}, ...question), ...choices.map((choice) => choice.box));
  rows.forEach((row) => row.remove());
  quiz.append(fieldset, button, status);
}

// what a screen reader says: formulas once, not as MathML and as drawn letters
function spoken(node) {
  const copy = node.cloneNode(true);
  copy.querySelectorAll(".katex-html, annotation").forEach((drawn) => drawn.remove());
  return copy.textContent.trim();
}

const quizzes = [...document.querySelectorAll(".admonition.quiz")];
const score = element("p", { className: "quiz-score", role: "status" });
let answered = 0, atOnce = 0;
quizzes.forEach((quiz, number) => ask(quiz, number, quizzes.length, (tries) => {
  answered += 1;
  atOnce += tries === 1;
  score.textContent = `${answered} of ${quizzes.length} answered, ${atOnce} right at the first try.`;
}));
if (quizzes.length > 1) quizzes.at(-1).after(score);

"""What people do to a notebook with the keyboard: answers in other places, edits, scratch work, pasting."""

import copy

from .sheet import Sheet, damage, grade_id, text


@damage("the stub left, the answer in a new cell below")
def answer_below_the_stub(sheet: Sheet) -> None:
    _leave_the_stub(sheet, 1)


@damage("the stub left, the answer in a new cell above")
def answer_above_the_stub(sheet: Sheet) -> None:
    _leave_the_stub(sheet, 0)


@damage("the stub left, the answer in a new cell below the checks")
def answer_below_the_checks(sheet: Sheet) -> None:
    for cell in sheet.some(sheet.answers()):
        checks = sheet.marked(f"{grade_id(cell)}-checks")
        if checks is not None:
            sheet.put(sheet.place(checks) + 1, sheet.new_code(text(cell)))
            cell["source"] = text(sheet.as_given(cell))


def _leave_the_stub(sheet: Sheet, offset: int) -> None:
    for cell in sheet.some(sheet.answers()):
        sheet.put(sheet.place(cell) + offset, sheet.new_code(text(cell)))
        cell["source"] = text(sheet.as_given(cell))


@damage("an answer written into the checks cell, the stub left")
def answer_in_the_checks(sheet: Sheet) -> None:
    for cell in sheet.some(sheet.answers()):
        checks = sheet.marked(f"{grade_id(cell)}-checks")
        if checks is not None:
            checks["source"] = f"{text(cell)}\n{text(checks)}"
            cell["source"] = text(sheet.as_given(cell))


@damage("two answers in each other's cells")
def answers_swapped(sheet: Sheet) -> None:
    answers = sheet.answers()
    if len(answers) > 1:
        one, two = sheet.rng.sample(answers, 2)
        one["source"], two["source"] = two["source"], one["source"]


@damage("checks edited: prints added, a line commented out")
def checks_edited(sheet: Sheet) -> None:
    for cell in sheet.some(sheet.checks()):
        lines = text(cell).split("\n")
        at = sheet.rng.randrange(len(lines))
        lines[at] = f"# {lines[at]}"
        cell["source"] = "\n".join(["print('here')", *lines])


@damage("given code edited: comments and prints")
def given_code_edited(sheet: Sheet) -> None:
    for cell in sheet.some(sheet.given(), most=5):
        cell["source"] = f"# I ran this twice\n{text(cell)}\nprint('done')"


SCRATCH = (
    "1 / 0",
    "def unfinished(",
    "print(undefined_name)",
    "softmax?",
    "%timeit -n 1 -r 1 sum(range(10))",
    "!ls",
    "x = input('a number: ')",
    "print('x' * 5000)",
    "import pandas_that_is_not_there",
    "raise KeyboardInterrupt",
    "# TODO ask about this one",
    "this is a note to myself",
    "",
    "import matplotlib.pyplot as plt\nplt.plot([1, 2, 3]);",
    "torch.tensor([1.0, 2.0]).softmax(-1)",
    "assert False, 'why'",
)


@damage("scratch cells with errors, magics and notes")
def scratch_cells(sheet: Sheet) -> None:
    for source in sheet.rng.sample(SCRATCH, sheet.rng.randint(2, 6)):
        sheet.put(sheet.rng.randint(2, len(sheet.cells)), sheet.new_code(source))


@damage("a timing magic on top of an answer")
def timed_answer(sheet: Sheet) -> None:
    for cell in sheet.some(sheet.answers()):
        cell["source"] = f"%%time\n{text(cell)}"


@damage("an answer indented as a whole")
def answer_indented(sheet: Sheet) -> None:
    for cell in sheet.some(sheet.answers()):
        cell["source"] = "\n".join(f"    {line}" if line else line for line in text(cell).split("\n"))


@damage("an answer pasted from a console, with its prompts")
def answer_with_prompts(sheet: Sheet) -> None:
    for cell in sheet.some(sheet.answers()):
        first, *rest = text(cell).rstrip("\n").split("\n")
        cell["source"] = "\n".join([f">>> {first}", *(f"... {line}" if line else "..." for line in rest)])


@damage("the whole notebook pasted below itself")
def notebook_pasted_twice(sheet: Sheet) -> None:
    twins = copy.deepcopy(sheet.cells)
    for cell in twins:
        cell["id"] = sheet.new_id()
    sheet.cells += twins


@damage("the untouched notebook pasted below the work")
def untouched_pasted_below(sheet: Sheet) -> None:
    twins = copy.deepcopy(sheet.skeleton["cells"])
    for cell in twins:
        cell["id"] = sheet.new_id()
    sheet.cells += twins


@damage("cells cut and pasted: their metadata is gone")
def cut_and_pasted(sheet: Sheet) -> None:
    for cell in sheet.some(sheet.answers(), most=5):
        cell["metadata"], cell["id"] = {}, sheet.new_id()

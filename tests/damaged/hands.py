"""What people do to a notebook with the mouse: cells deleted, copied, moved, split, merged, retyped."""

import copy

from .sheet import Sheet, damage, grade_id, text


@damage("a checks cell deleted")
def checks_deleted(sheet: Sheet) -> None:
    for cell in sheet.some(sheet.checks()):
        sheet.take_out(cell)


@damage("every checks cell deleted")
def all_checks_deleted(sheet: Sheet) -> None:
    for cell in sheet.checks():
        sheet.take_out(cell)


@damage("given code cells deleted, imports among them")
def given_code_deleted(sheet: Sheet) -> None:
    first = sheet.given()[:1]
    for cell in [*first, *sheet.some(sheet.given()[1:])]:
        sheet.take_out(cell)


@damage("all text cells deleted")
def markdown_deleted(sheet: Sheet) -> None:
    sheet.cells = sheet.code


@damage("all deleted but the answers")
def only_answers_left(sheet: Sheet) -> None:
    sheet.cells = sheet.answers()


@damage("cells copied, with all their metadata")
def cells_copied(sheet: Sheet) -> None:
    for cell in sheet.some([*sheet.answers(), *sheet.checks()]):
        twin = sheet.put(sheet.place(cell) + 1, copy.deepcopy(cell))
        twin["id"] = sheet.new_id()


@damage("a first draft kept above the answer, with the same label")
def draft_kept_above(sheet: Sheet) -> None:
    for cell in sheet.some(sheet.answers()):
        if cell["source"] != text(sheet.as_given(cell)):
            draft = sheet.put(sheet.place(cell), copy.deepcopy(cell))
            draft["source"] = sheet.rng.choice(sheet.drafts[grade_id(cell)])
            cell["id"] = sheet.new_id()


@damage("an answer moved somewhere else")
def answer_moved(sheet: Sheet) -> None:
    for cell in sheet.some(sheet.answers()):
        sheet.take_out(cell)
        sheet.put(sheet.rng.randint(3, len(sheet.cells)), cell)


@damage("all answers moved to the end")
def answers_at_the_end(sheet: Sheet) -> None:
    answers = sheet.answers()
    sheet.cells = [cell for cell in sheet.cells if cell not in answers] + answers


@damage("a checks cell moved above its answer")
def checks_above_the_answer(sheet: Sheet) -> None:
    for cell in sheet.some(sheet.checks()):
        sheet.take_out(cell)
        sheet.put(sheet.rng.randint(0, 3), cell)


@damage("neighbouring cells swapped")
def cells_swapped(sheet: Sheet) -> None:
    for _ in range(3):
        at = sheet.rng.randrange(len(sheet.cells) - 1)
        sheet.cells[at : at + 2] = sheet.cells[at : at + 2][::-1]


@damage("the sections in another order")
def sections_reordered(sheet: Sheet) -> None:
    sections: list[list] = [[]]
    for cell in sheet.cells:
        if cell["cell_type"] == "markdown" and "## " in text(cell) and len(sections[-1]) > 2:
            sections.append([])
        sections[-1].append(cell)
    rest = sections[1:]
    sheet.rng.shuffle(rest)
    sheet.cells = [cell for section in (sections[0], *rest) for cell in section]


@damage("an answer split in two, both parts labelled")
def answer_split(sheet: Sheet) -> None:
    for cell in sheet.some(sheet.answers()):
        _split(sheet, cell, lambda rest: rest)


@damage("an answer split in two, the second part without label")
def answer_split_unlabelled(sheet: Sheet) -> None:
    for cell in sheet.some(sheet.answers()):
        _split(sheet, cell, lambda rest: rest["metadata"].clear())


@damage("an answer split in three")
def answer_split_in_three(sheet: Sheet) -> None:
    for cell in sheet.some(sheet.answers()):
        rest = _split(sheet, cell, lambda rest: rest)
        if rest is not None:
            _split(sheet, rest, lambda rest: rest)


def _split(sheet: Sheet, cell, change):
    lines = text(cell).split("\n")
    if len(lines) < 3:
        return None
    at = sheet.rng.randint(1, len(lines) - 2)
    rest = copy.deepcopy(cell)
    cell["source"], rest["source"], rest["id"] = "\n".join(lines[:at]), "\n".join(lines[at:]), sheet.new_id()
    change(rest)
    return sheet.put(sheet.place(cell) + 1, rest)


@damage("an answer merged with its checks")
def answer_merged_with_checks(sheet: Sheet) -> None:
    for cell in sheet.some(sheet.answers()):
        checks = sheet.marked(f"{grade_id(cell)}-checks")
        if checks is not None:
            cell["source"] = f"{text(cell)}\n\n{text(checks)}"
            sheet.take_out(checks)


@damage("an answer merged into the checks below")
def checks_merged_with_answer(sheet: Sheet) -> None:
    for cell in sheet.some(sheet.answers()):
        checks = sheet.marked(f"{grade_id(cell)}-checks")
        if checks is not None:
            checks["source"] = f"{text(cell)}\n\n{text(checks)}"
            sheet.take_out(cell)


@damage("an answer merged with the code above it")
def answer_merged_with_given(sheet: Sheet) -> None:
    for cell in sheet.some(sheet.answers(), most=1):
        above = [each for each in sheet.given() if sheet.place(each) < sheet.place(cell)]
        if above:
            cell["source"] = f"{text(above[-1])}\n\n{text(cell)}"
            sheet.take_out(above[-1])


@damage("two answers in one cell")
def two_answers_merged(sheet: Sheet) -> None:
    answers = sheet.answers()
    if len(answers) > 1:
        at = sheet.rng.randrange(len(answers) - 1)
        answers[at]["source"] = f"{text(answers[at])}\n\n\n{text(answers[at + 1])}"
        sheet.take_out(answers[at + 1])


@damage("all code in one cell")
def all_code_merged(sheet: Sheet) -> None:
    code = sheet.code
    whole = sheet.new_code("\n\n".join(text(cell) for cell in code))
    sheet.cells = [*[cell for cell in sheet.cells if cell["cell_type"] != "code"], whole]


@damage("an answer turned into text or raw")
def answer_retyped(sheet: Sheet) -> None:
    for cell in sheet.some(sheet.answers()):
        cell["cell_type"] = sheet.rng.choice(["raw", "markdown"])


@damage("checks or given code turned into text")
def code_retyped(sheet: Sheet) -> None:
    for cell in sheet.some([*sheet.checks(), *sheet.given()], most=4):
        cell["cell_type"] = sheet.rng.choice(["raw", "markdown"])

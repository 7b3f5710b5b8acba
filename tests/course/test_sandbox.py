"""Each real chapter in the real sandbox: what submissions earn, and that ending the process earns nothing."""

import pytest

from grader.demo.hostile import thief

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]

ENDS = (
    "import os\nos._exit(0)",
    "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)",
    "import os, signal\nos.kill(-1, signal.SIGTERM)",
    "import sys\nsys.exit(0)",
)


def errors(outcome):
    return [
        f"{cell}: {output['ename']}: {output['evalue']}"
        for cell, outputs in outcome.outputs.items()
        for output in outputs
        if output["output_type"] == "error"
    ]


def points(results):
    return {label: result.points for label, result in results.items()}


def test_solution_and_untouched_notebook_run_to_their_end_with_all_experiments(room, side_by_side):
    students = [room.students()[name] for name in ("ada-all-right", "fred-untouched")]
    plans = [room.plan(student.data, experiments=True) for student in students]
    assert len(plans[0][0].cells) >= len(room.plan(students[0].data)[0].cells)
    (right, solved), (nothing, untouched) = side_by_side(lambda plan: room.grade(*plan), plans)
    assert sum(points(right).values()) == room.chapter.points
    assert sum(points(nothing).values()) == 0
    assert errors(solved) == []
    exercise_cells = {cell.id for cell in plans[1][0].cells if cell.exercise}
    assert [words for words in errors(untouched) if words.split(":")[0] not in exercise_cells] == []
    assert (solved.notes, untouched.notes) == ({}, {})


def test_solution_and_untouched_notebook_are_graded_without_experiments(room, side_by_side):
    students = [room.students()[name] for name in ("ada-all-right", "fred-untouched")]
    (right, solved), (nothing, _) = side_by_side(lambda student: room.grade(*room.plan(student.data)), students)
    assert sum(points(right).values()) == room.chapter.points
    assert sum(points(nothing).values()) == 0
    assert errors(solved) == []


def test_the_three_hostile_submissions_gain_nothing(room, side_by_side):
    stolen = [str(room.chapter.hidden), str(room.chapter.page), str(room.course.root / "solutions")]
    code = thief(stolen, [str(room.course.root)], port=9, mark="loot-of-a-test")
    students = [student for student in room.students(code).values() if student.hostile]

    def grade(student):
        plan, kept = room.plan(student.data)
        return room.grade(room.light(plan), kept)

    for student, (results, outcome) in zip(students, side_by_side(grade, students), strict=True):
        for label, earned in points(results).items():
            assert earned in student.deserved[label], f"{student.name}: {label}: {results[label]}"
        printed = [output.get("text", "") for outputs in outcome.outputs.values() for output in outputs]
        assert ("LOOT []\n" in printed) == ("thief" in student.name), printed
    assert len(students) == 3
    assert not (room.course.root / "loot-of-a-test").exists()


def test_ending_the_process_at_any_cell_never_raises_a_score(room, side_by_side):
    data = room.half_wrong()
    plan, kept = room.plan(data)
    before = points(room.grade(room.light(plan), kept)[0])
    assert 0 < sum(before.values()) < room.chapter.points
    ended = []
    for number, label in enumerate(room.answers.reference):
        end = ENDS[number % len(ENDS)]
        ended.append((f"behind {label}", room.with_cell(data, label, end)))
        if number % 2:
            changed = room.with_answer(data, label, lambda text, end=end: f"{end}\n{text}")
            ended.append((f"at the beginning of {label}", changed))
        else:
            changed = room.with_answer(data, label, lambda text, end=end: f"{text}\n{end}")
            ended.append((f"at the end of {label}", changed))

    def grade(item):
        plan, kept = room.plan(item[1])
        return points(room.grade(room.light(plan), kept)[0])

    for (where, _), after in zip(ended, side_by_side(grade, ended), strict=True):
        for label, earned in after.items():
            assert earned <= before[label], f"{where}: {label} rose from {before[label]} to {earned}"

"""Each real chapter in the real sandbox: what submissions earn, and that ending the process earns nothing."""

import pytest

from grader.demo.hostile import thief

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]


def errors(outcome):
    return [
        f"{cell}: {output['ename']}: {output['evalue']}"
        for cell, outputs in outcome.outputs.items()
        for output in outputs
        if output["output_type"] == "error"
    ]


def points(results):
    return {label: result.points for label, result in results.items()}


def graded_untouched(room, experiments):
    """What goes wrong outside of the exercises of a notebook that nobody worked on; it must earn nothing."""
    plan, kept = room.plan(room.students()["fred-untouched"].data, experiments=experiments)
    results, outcome = room.grade(plan, kept)
    assert sum(points(results).values()) == 0
    assert outcome.notes == {}
    exercise_cells = {cell.id for cell in plan.cells if cell.exercise}
    return [words for words in errors(outcome) if words.split(":")[0] not in exercise_cells]


def test_the_untouched_notebook_earns_nothing_and_goes_on_to_its_end(room):
    assert graded_untouched(room, experiments=False) == []


@pytest.mark.experiments
def test_the_untouched_notebook_runs_to_its_end_with_all_experiments(room):
    """`make experiments`. The book runs the solved one: it is not built where a cell fails."""
    assert graded_untouched(room, experiments=True) == []


def test_the_solution_gets_full_marks(room):
    _, right, outcome = room.solved
    assert sum(points(right).values()) == room.chapter.points
    assert errors(outcome) == []


def test_the_hostile_submissions_gain_nothing(room, side_by_side):
    """All five in the first chapter, the thief in each: what there is to steal differs. `course demo --all` has all."""
    stolen = [str(room.chapter.hidden), str(room.chapter.page), str(room.course.root / "solutions")]
    code = thief(stolen, [str(room.course.root)], port=9, mark="loot-of-a-test")
    hostile = [student for student in room.students(code).values() if student.hostile]
    first = room.chapter == room.course.chapters[0]
    students = [student for student in hostile if first or "thief" in student.name]

    def grade(student):
        plan, kept = room.plan(student.data)
        return room.grade(room.light(plan), kept)

    for student, (results, outcome) in zip(students, side_by_side(grade, students), strict=True):
        for exercise in room.assignment.exercises:
            result = results[exercise.label]
            deserved = exercise.points if student.chosen[exercise.label].kind == "reference" else 0
            assert result.points == deserved, f"{student.name}: {exercise.label}: {result}"
        printed = [output.get("text", "") for outputs in outcome.outputs.values() for output in outputs]
        assert ("LOOT []\n" in printed) == ("thief" in student.name), printed
    assert len(students) == (5 if first else 1)
    assert not (room.course.root / "loot-of-a-test").exists()


def test_ending_the_process_never_raises_a_score(room, side_by_side):
    """Three endings at three places; `make endings` tries every ending at every cell."""
    data = room.half_wrong()
    plan, kept = room.plan(data)
    before = points(room.grade(room.light(plan), kept)[0])
    assert 0 < sum(before.values()) < room.chapter.points
    labels = list(room.answers.reference)
    first, middle, last = labels[0], labels[len(labels) // 2], labels[-1]
    leave, kill_all = "import sys\nsys.exit(0)\n", "\nimport os, signal\nos.kill(-1, signal.SIGTERM)"
    ended = {
        f"behind {first}": room.with_cell(data, first, "import os\nos._exit(0)"),
        f"at the beginning of {middle}": room.with_answer(data, middle, lambda text: leave + text),
        f"at the end of {last}": room.with_answer(data, last, lambda text: text + kill_all),
    }

    def grade(data):
        plan, kept = room.plan(data)
        return points(room.grade(room.light(plan), kept)[0])

    for where, after in zip(ended, side_by_side(grade, ended.values()), strict=True):
        for label, earned in after.items():
            assert earned <= before[label], f"{where}: {label} rose from {before[label]} to {earned}"

"""nbgrader's own `autograde`, and so formgrader's Autograde button, without student code outside a sandbox.

`nbgrader_config.py` of the class folder names the two steps here. `Rebuild` comes first among those that clean a
submission, `SandboxedExecute` is in the place of nbgrader's Execute. A notebook of one of the course's chapters is
graded as `course grade` grades it, and what nbgrader's further steps read are our verdicts. Of any other assignment
of the class, the cells run in the sandbox and their outputs are put in; its tests are cells like all others, so a
student's code can see them and undo them, as it can under plain nbgrader.

Where there is trouble that is not the student's, the steps raise: nbgrader then says so, writes no score, and takes
the submission's half-finished notebook away.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nbgrader.preprocessors import Execute, NbGraderPreprocessor
from traitlets import Unicode

from grader.course import Budget, Chapter, Course, find_root, load_course
from grader.errors import EnvironmentProblem, NoSuchChapter, SubmissionError
from grader.execution.plan import Outcome, Plan
from grader.execution.run import execute
from grader.execution.sandbox import find_bubblewrap
from grader.grading.classroom import Classroom, open_classroom
from grader.grading.collecting import find_submissions, take_in
from grader.grading.foreign import files_beside, foreign_plan, teachers_texts, with_outputs
from grader.grading.grading import grade_class
from grader.grading.loose import read_loosely
from grader.grading.one_writer import one_writer
from grader.grading.skeleton import rebuild


class InCourse(NbGraderPreprocessor):  # type: ignore[misc]
    """A step that knows which notebooks are chapters of the course."""

    course_root = Unicode("", help="The course's folder; without it $COURSE_ROOT or one around the class.").tag(
        config=True
    )

    def course(self) -> Course:
        """The course that the class folder belongs to."""
        return load_course(Path(self.course_root) if self.course_root else find_root())

    def chapter(self, resources: Any) -> Chapter | None:
        """The chapter whose notebook this is; None for an assignment that is not the course's."""
        about = resources["nbgrader"]
        try:
            chapter = self.course().chapter(about["assignment"])
        except NoSuchChapter:
            return None
        return chapter if about["notebook"] == chapter.page.stem else None

    def classroom(self, resources: Any) -> Classroom:
        """The class folder, which nbgrader works in, and the gradebook that nbgrader was told."""
        return open_classroom(Path.cwd(), resources["nbgrader"]["db_url"])


class Rebuild(InCourse):
    """Puts the answers of a chapter's submission into the course's own notebook before anything is checked.

    A damaged notebook then passes nbgrader's own steps, which are strict about ids and types of cells.
    """

    def preprocess(self, nb: Any, resources: Any) -> tuple[Any, Any]:
        """The rebuilt notebook of a chapter; any other as it is."""
        import nbformat

        chapter = self.chapter(resources)
        if chapter is None:
            return nb, resources
        classroom, student = self.classroom(resources), resources["nbgrader"]["student"]
        (place,) = find_submissions(classroom.submitted, chapter.id, chapter.page.stem, [student])
        skeleton = classroom.root / "release" / chapter.id / f"{chapter.page.stem}.ipynb"
        try:
            cells, _ = read_loosely(take_in(place).data)
        except SubmissionError:
            # `SandboxedExecute` records the problem
            cells = []
        return rebuild(nbformat.read(skeleton, 4), cells).notebook, resources


class SandboxedExecute(InCourse, Execute):  # type: ignore[misc]
    """Takes the place of nbgrader's Execute, and reads its `timeout`."""

    def preprocess(self, nb: Any, resources: Any = None, km: Any = None) -> tuple[Any, Any]:
        """The notebook with the outputs that nbgrader scores.

        Raises:
            EnvironmentProblem: when there is no working bubblewrap, or the gradebook cannot be written.
            CourseError: when the course or the assignment cannot be graded.
        """
        find_bubblewrap()
        chapter = self.chapter(resources)
        if chapter is None:
            return self.run_foreign(nb, resources), resources
        return self.grade(chapter, resources), resources

    def grade(self, chapter: Chapter, resources: Any) -> Any:
        """Grade one student's chapter; the notebook with our verdicts."""
        import nbformat

        classroom, student = self.classroom(resources), resources["nbgrader"]["student"]
        with one_writer(classroom):
            (graded,) = grade_class(
                self.course(), chapter, classroom, _execute_here, only=[student], force=True, sandboxed=True
            )
        if not graded.recorded:
            raise EnvironmentProblem(f"{student} was not graded: {graded.problem}", "see the reason, then try again")
        path = classroom.root / "autograded" / student / chapter.id / f"{chapter.page.stem}.ipynb"
        return nbformat.read(path, nbformat.NO_CONVERT)

    def run_foreign(self, nb: Any, resources: Any) -> Any:
        """Run the cells of an assignment that is not the course's, and put in what they show.

        Raises:
            EnvironmentProblem: when the notebook is not in Python, or too much data lies beside it.
        """
        about = resources["nbgrader"]
        name = f"{about['student']} {about['assignment']}/{about['notebook']}"
        language = nb.metadata.get("kernelspec", {}).get("language", "python")
        if language != "python":
            raise EnvironmentProblem(
                f"{name} is written in {language}, and the sandbox runs Python only",
                "grade this assignment by hand, or with nbgrader's own Execute on a machine that has nothing to lose",
            )
        self.log.warning(
            "%s is no chapter of the course: its hidden tests run in the process of the student's code, which can "
            "see them and undo them",
            name,
        )
        seconds = float(self.timeout or Budget.cell_seconds)
        submitted = Path.cwd() / "submitted" / about["student"] / about["assignment"]
        beside = files_beside(Path(resources["metadata"]["path"]), submitted)
        outcome = execute(foreign_plan(name, nb, seconds, beside))
        source = Path.cwd() / "source" / about["assignment"] / f"{about['notebook']}.ipynb"
        return with_outputs(nb, outcome, teachers_texts(source))


def _execute_here(plans: Iterator[Plan]) -> Iterator[tuple[int, Outcome]]:
    """One plan after the other in this process's sandbox."""
    for number, plan in enumerate(plans):
        yield number, execute(plan)

"""The class folder: nbgrader's layout, our settings for it, the class secret and the gradebook.

::

    class/
      submitted/STUDENT/CHAPTER/*.ipynb  what came in; read, never written
      source/, release/                  built from the course
      autograded/                        what formgrader shows: outputs sanitised, no hidden source
      feedback/STUDENT/CHAPTER/          feedback.html and result.json
      exchange/                          for nbgrader's own release and collect
      gradebook.db                       nbgrader's gradebook, unless --db names another
      nbgrader_config.py                 lets nbgrader's commands and formgrader work from here
      .secret                            decides the seeds of the hidden cases; mode 0600
      .records/                          what submissions answered, so that nothing is asked twice; mode 0700

nbgrader writes its own feedback, when asked, to `feedback_nbgrader/`: it replaces whole folders.
"""

import os
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path

from grader.course import Course
from grader.errors import EnvironmentProblem, UsageError
from grader.files import write_whole

CONFIG_HEADER = "# Written by `course grade`. Take out this line to keep your own changes."

CONFIG = """{header}
import os
from pathlib import Path

c = get_config()  # noqa: F821
here = str(Path(__file__).resolve().parent)
os.environ["COURSE_ROOT"] = {course!r}
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [{library!r}, os.environ.get("PYTHONPATH")]))
c.CourseDirectory.root = here
c.CourseDirectory.course_id = {slug!r}
c.CourseDirectory.db_url = {db}
c.CourseDirectory.feedback_directory = "feedback_nbgrader"
c.Exchange.root = str(Path(here) / "exchange")
c.Execute.timeout = {seconds}
# `nbgrader autograde` and formgrader's button run no student code outside a sandbox
c.InCourse.course_root = {course!r}
ours, theirs, notebooks = "grader.grading.preprocessor.", "nbgrader.preprocessors.", "nbconvert.preprocessors."
c.Autograde.sanitize_preprocessors = [ours + "Rebuild"] + [
    theirs + name
    for name in ("ClearOutput", "DeduplicateIds", "OverwriteKernelspec", "OverwriteCells", "CheckCellMetadata")
]
c.Autograde.autograde_preprocessors = [
    ours + "SandboxedExecute",
    theirs + "IgnorePattern",
    notebooks + "ClearMetadataPreprocessor",
    *(theirs + name for name in ("LimitOutput", "SaveAutoGrades", "AssignLatePenalties", "CheckCellMetadata")),
]
c.ClearSolutions.code_stub = {{"python": {code_stub!r}}}
c.ClearSolutions.text_stub = {text_stub!r}
"""


@dataclass(frozen=True)
class Classroom:
    """A class folder and the gradebook that belongs to it.

    Attributes:
        root: absolute path of the folder.
        db_url: the gradebook as a SQLAlchemy URL.
    """

    root: Path
    db_url: str

    @property
    def submitted(self) -> Path:
        """What the students handed in."""
        return self.root / "submitted"

    def feedback(self, student: str, chapter_id: str) -> Path:
        """The folder with one student's feedback page and result."""
        return self.root / "feedback" / student / chapter_id

    @property
    def secret_path(self) -> Path:
        """The file that holds the class secret."""
        return self.root / ".secret"

    @property
    def config_path(self) -> Path:
        """nbgrader's settings for this folder."""
        return self.root / "nbgrader_config.py"

    @property
    def is_graded(self) -> bool:
        """Whether there is a gradebook to read; one that is not a file is asked instead."""
        own = f"sqlite:///{self.root / 'gradebook.db'}"
        return self.db_url != own or (self.root / "gradebook.db").is_file()

    def secret(self) -> str:
        """The class secret, made at first use. Who knows it and `hidden.py` knows the hidden inputs."""
        if not self.secret_path.exists():
            write_whole(self.secret_path, secrets.token_hex(32) + "\n", mode=0o600)
        found = self.secret_path.read_text(encoding="ascii", errors="replace").strip()
        if len(found) < 32:
            raise EnvironmentProblem(
                f"{self.secret_path} holds no usable secret",
                "restore it from a backup, or delete it: new hidden inputs will then be drawn",
            )
        return found


def open_classroom(root: Path, db_url: str | None = None) -> Classroom:
    """The classroom in `root`, checked and not yet written to.

    Without `db_url` the gradebook is the one the folder was last graded into, at first `gradebook.db`
    inside it.

    Raises:
        UsageError: when the folder or its `submitted/` is missing.
        EnvironmentProblem: when the gradebook cannot be used.
    """
    root = root.resolve()
    if not (root / "submitted").is_dir():
        raise UsageError(
            f"there is no folder {root / 'submitted'}",
            "put each submission in submitted/STUDENT/CHAPTER/, or name the class folder with --class",
        )
    url = db_url or _remembered_url(root) or f"sqlite:///{root / 'gradebook.db'}"
    check_gradebook(url)
    return Classroom(root, url)


def _remembered_url(root: Path) -> str | None:
    import ast

    try:
        text = (root / "nbgrader_config.py").read_text(encoding="utf-8")
    except OSError:
        return None
    for line in text.splitlines():
        name, _, value = line.partition(" = ")
        if name == "c.CourseDirectory.db_url":
            try:
                url = ast.literal_eval(value)
            except (ValueError, SyntaxError):
                return None
            return url if isinstance(url, str) else None
    return None


def check_gradebook(url: str) -> None:
    """Make sure that `url` names a gradebook that nbgrader can use, or an empty place for one. Writes
    nothing.

    Raises:
        EnvironmentProblem: with the reason and the way out.
    """
    from sqlalchemy import create_engine, inspect
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

    example = "use a SQLAlchemy URL such as sqlite:////path/gradebook.db or postgresql+psycopg://user@host/name"
    try:
        parsed = make_url(url)
        shown = parsed.render_as_string(hide_password=True)
    except ArgumentError:
        raise EnvironmentProblem("the gradebook's URL cannot be read", example) from None
    if parsed.get_backend_name() == "sqlite":
        path = Path(parsed.database or "")
        if not parsed.database or parsed.database == ":memory:":
            raise EnvironmentProblem(f"{shown} names no file, and scores must outlive this command", example)
        if not path.exists():
            if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
                raise EnvironmentProblem(
                    f"the gradebook {path} cannot be created",
                    f"make {path.parent} a folder that you can write to",
                )
            return
        if not path.is_file() or not os.access(path, os.R_OK | os.W_OK):
            raise EnvironmentProblem(
                f"the gradebook {path} cannot be read and written",
                "correct its permissions, or choose another with --db",
            )
    try:
        engine = create_engine(url)
        try:
            tables = set(inspect(engine).get_table_names())
        finally:
            engine.dispose()
    except (NoSuchModuleError, ImportError) as error:
        raise EnvironmentProblem(
            f"no driver for the gradebook {shown}: {error}", f"install the driver with pip, or {example}"
        ) from None
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise EnvironmentProblem(
            f"the gradebook {shown} cannot be opened: {reason}",
            "restore it from a backup, start a new one by moving the file away, or choose another with --db",
        ) from None
    if tables and not {"assignment", "grade", "student", "submitted_assignment"} <= tables:
        raise EnvironmentProblem(
            f"{shown} is a database, but not a gradebook of nbgrader: it has the tables "
            f"{', '.join(sorted(tables)[:5])}",
            "choose another with --db",
        )


def write_settings(classroom: Classroom, course: Course, cell_seconds: float) -> None:
    """Write `nbgrader_config.py`, unless its owner has taken out our first line, and make its exchange."""
    from grader.authoring.notebooks import CODE_STUB, TEXT_STUB

    (classroom.root / "exchange").mkdir(exist_ok=True)
    path = classroom.config_path
    if path.is_file() and CONFIG_HEADER not in path.read_text(encoding="utf-8", errors="replace"):
        return
    own = f"sqlite:///{classroom.root / 'gradebook.db'}"
    text = CONFIG.format(
        header=CONFIG_HEADER,
        course=str(course.root),
        library=str(course.library_root),
        slug=str(course.settings["course"]["slug"]),
        # by its place where it lies inside, so that the folder can be moved
        db='f"sqlite:///{here}/gradebook.db"' if classroom.db_url == own else repr(classroom.db_url),
        seconds=int(cell_seconds),
        code_stub=CODE_STUB,
        text_stub=TEXT_STUB,
    )
    write_whole(path, text, mode=0o600)


def programs_on_path() -> None:
    """Let nbgrader find this installation's `alembic`: it calls it by name for a new gradebook."""
    here = str(Path(sys.executable).parent)
    parts = os.environ.get("PATH", "").split(os.pathsep)
    if here not in parts:
        os.environ["PATH"] = os.pathsep.join([here, *parts])

"""What earlier runs have made: is a submission's result still the result of what lies here now?

A second run over an unchanged class must cost next to nothing, so two questions are answered from files and
one query alone, without building a notebook or importing nbgrader: have the course, the grader, this Python and
the class folder's settings changed since the chapter was last loaded (`Memo`), and does each student's result
carry the keys of today (`unchanged`)?
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from grader.course import Chapter, Course
from grader.files import write_whole
from grader.grading.assignment import Assignment
from grader.grading.classroom import Classroom
from grader.grading.collecting import Submission
from grader.grading.keys import digest, environment_key, grader_key, installed, sources_key
from grader.grading.ledger import Held
from grader.grading.store import FOLDER, private_folder
from grader.hidden import seed_for


@dataclass(frozen=True)
class Keys:
    """What all results of a chapter depend on today.

    Attributes:
        chapter: the chapter's id.
        edition: the course's edition.
        checks: hidden checks, points and notebook.
        library: the library slice.
        environment: Python and what is installed with it.
        budget: what a submission may use, in words.
    """

    chapter: str
    edition: str
    checks: str
    library: str
    environment: str
    budget: str

    @property
    def results(self) -> dict[str, str]:
        """The keys as a result carries them."""
        return {name: value for name, value in asdict(self).items() if name != "chapter"}


def keys_of(assignment: Assignment) -> Keys:
    """The keys of today."""
    budget = ", ".join(f"{name} {value:g}" for name, value in asdict(assignment.chapter.budget).items())
    return Keys(
        chapter=assignment.chapter.id,
        edition=assignment.edition,
        checks=assignment.checks_digest,
        library=assignment.library_digest,
        environment=environment_key(),
        budget=budget,
    )


def read_result(classroom: Classroom, student: str, chapter_id: str) -> dict[str, Any] | None:
    """A student's result as it was last written; None where there is none that can be read."""
    try:
        found = json.loads((classroom.feedback(student, chapter_id) / "result.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("exercises"), list) else None


def unchanged(
    classroom: Classroom,
    keys: Keys,
    secret: str,
    submission: Submission,
    held: Held | None,
    sandboxed: bool,
) -> dict[str, Any] | None:
    """The result of an earlier run, if today's would be the same and all of it is still there.

    Args:
        classroom: the class.
        keys: of today.
        secret: the class secret.
        submission: what is handed in today.
        held: what the gradebook holds of it.
        sandboxed: whether results made without a sandbox do not count.
    """
    student = submission.student
    found = read_result(classroom, student, keys.chapter)
    if found is None or held is None or (sandboxed and found.get("isolation") == "none"):
        return None
    wanted = {**keys.results, "attempt": submission.digest, "claimed": submission.claimed}
    if any(found.get(name) != value for name, value in wanted.items()):
        return None
    try:
        for each in found["exercises"]:
            label = each["exercise"]
            seed = str(seed_for(secret, keys.chapter, student, submission.digest, label))
            if each["seed"] not in (None, seed) or abs(each["points"] - held.automatic[f"{label}-checks"]) > 1e-9:
                return None
    except (KeyError, TypeError):
        return None
    folder = classroom.root / "autograded" / student / keys.chapter
    page = classroom.feedback(student, keys.chapter) / "feedback.html"
    return found if page.is_file() and folder.is_dir() else None


class Memo:
    """The keys of a chapter as they were when it was last loaded, with the state of all files they come from."""

    def __init__(self, classroom: Classroom, course: Course, chapter: Chapter) -> None:
        self.classroom, self.chapter = classroom, chapter
        self.path = classroom.root / FOLDER / ".chapters" / f"{chapter.id}.json"
        places = [str(course.root), str(classroom.root), classroom.db_url]
        parts = [sources_key(course, chapter), environment_key(), grader_key(), *places]
        self._state = digest(*(part.encode() for part in parts))

    def read(self) -> Keys | None:
        """The keys; None where something has changed, or what nbgrader works with is gone."""
        root, chapter_id, stem = self.classroom.root, self.chapter.id, self.chapter.page.stem
        needed = [
            self.classroom.config_path,
            self.classroom.secret_path,
            *(root / part / chapter_id / f"{stem}.ipynb" for part in ("source", "release")),
        ]
        try:
            found: Mapping[str, Any] = json.loads(self.path.read_bytes())
            keys = Keys(**found["keys"]) if found["state"] == self._state else None
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return keys if all(path.is_file() for path in needed) else None

    def write(self, keys: Keys) -> None:
        """Remember the keys that belong to this state."""
        private_folder(self.path.parents[1])
        text = json.dumps({"state": self._state, "keys": asdict(keys)}, indent=1)
        write_whole(self.path, text + "\n", mode=0o600)


def remember_environment(classroom: Classroom) -> None:
    """Keep what is installed now under its key, so that a later replay can name what has changed."""
    path = private_folder(classroom.root / FOLDER) / ".environments" / f"{environment_key()}.json"
    if not path.is_file():
        write_whole(path, json.dumps(installed(), indent=1) + "\n", mode=0o600)


def changes_since(classroom: Classroom, environment: str) -> list[str] | None:
    """What has changed in the environment since a result with this key: "torch 2.12.0 -> 2.13.0"; None where
    that is not known any more."""
    if environment == environment_key():
        return []
    path = classroom.root / FOLDER / ".environments" / f"{environment}.json"
    try:
        before = json.loads(path.read_bytes())
        now = installed()
        names = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
        return [f"{name} {before.get(name, 'missing')} -> {now.get(name, 'missing')}" for name in names]
    except (OSError, ValueError, AttributeError):
        return None

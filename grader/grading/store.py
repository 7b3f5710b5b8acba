"""What submissions answered, kept in the class folder so that no answer is asked for twice.

::

    class/.records/STUDENT/CHAPTER     one file, for the owner only

A record holds an outcome as it came from the sandbox: what the cells showed, and for each exercise the
answers together with the key of the question they answer. A judge that changed needs no execution; a check
that asks something new runs with its own question only.

The answers are a stranger's. They are decoded by `grader.wire` alone, within a size limit, and a file that does
not carry this class's seal (damaged, forged, of another class) counts as not there.
"""

import hashlib
import hmac
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from grader import wire
from grader.execution.plan import Outcome
from grader.files import write_whole
from grader.hidden import Raised

FOLDER = ".records"
"""Beside `submitted/`. Names of students never begin with a dot; what does, belongs to the grader."""

FORMAT = 1
MAX_BYTES = 64 << 20
"""Of one record before it is compressed. Answers that take more are not kept; they are asked for again."""
KEPT_QUESTIONS = 2
"""For each exercise: the question of now and the one before, so that a teacher can take a change back."""
LONG_NUMBER = re.compile(rb"(?:^|[\[,:])-?\d{16,}(?:$|[\],}])")
FACTS = ("seconds", "cpu_seconds", "peak_mb", "isolation", "start", "remark")
"""Fields of an outcome that are kept as they are."""


@dataclass(frozen=True)
class Asked:
    """The answers of one exercise to one question (`grader.grading.keys.question_key`)."""

    question: str
    answers: list[Any | Raised]


@dataclass(frozen=True)
class Record:
    """One submission as it ran.

    Attributes:
        student: whose.
        chapter: of which chapter.
        attempt: the digest of what was handed in.
        run: the key of what was run (`grader.grading.keys.run_key`).
        outcome: all but the answers.
        asked: by exercise, the newest question first.
    """

    student: str
    chapter: str
    attempt: str
    run: str
    outcome: Outcome
    asked: Mapping[str, tuple[Asked, ...]] = field(default_factory=dict)

    def answer_to(self, label: str, question: str) -> list[Any | Raised] | None:
        """The answers of an exercise to this very question; None where it was never asked."""
        return next((each.answers for each in self.asked.get(label, ()) if each.question == question), None)

    def answering(self, questions: Mapping[str, str]) -> Outcome:
        """The outcome with its answers to these questions (keys by exercise), as far as they were asked."""
        found = {label: self.answer_to(label, question) for label, question in questions.items()}
        return replace(self.outcome, answers={label: each for label, each in found.items() if each is not None})

    def after(self, earlier: "Record | None") -> "Record":
        """This record with earlier answers of the same run to questions that it does not hold."""
        if earlier is None or (earlier.run, earlier.outcome.isolation) != (self.run, self.outcome.isolation):
            return self
        asked = {}
        for label in {**self.asked, **earlier.asked}:
            new = self.asked.get(label, ())
            known = {each.question for each in new}
            old = tuple(each for each in earlier.asked.get(label, ()) if each.question not in known)
            asked[label] = (*new, *old)[:KEPT_QUESTIONS]
        return replace(self, asked=asked)


class Store:
    """The records of one class.

    Args:
        folder: `.records` in the class folder; made when the first record is written.
        secret: the class secret, which seals records.
    """

    def __init__(self, folder: Path, secret: str) -> None:
        self.folder = folder
        self._key = hashlib.sha256(f"records\0{secret}".encode()).digest()

    def path(self, student: str, chapter_id: str) -> Path:
        """Where a record lies."""
        return self.folder / student / chapter_id

    def load(self, student: str, chapter_id: str) -> Record | None:
        """The record of a student's chapter; None where there is none that can be believed."""
        try:
            with self.path(student, chapter_id).open("rb") as file:
                seal, data = file.readline(100).strip(), file.read(MAX_BYTES)
            if not hmac.compare_digest(seal, self._seal(data)):
                return None
            unpacked = zlib.decompressobj()
            text = unpacked.decompress(data, MAX_BYTES)
            record = _read(text) if unpacked.eof else None
        except (OSError, zlib.error, ValueError, KeyError, TypeError, RecursionError, IndexError):
            return None
        return record if record is not None and (record.student, record.chapter) == (student, chapter_id) else None

    def save(self, record: Record) -> bool:
        """Keep a record in place of the earlier one; false where it is too large or cannot be written.

        A record saves work and decides nothing: a class is graded without it as well.
        """
        path = self.path(record.student, record.chapter)
        try:
            text = _written(record)
        except wire.WireFormatError:
            text = b""
        try:
            if not 0 < len(text) <= MAX_BYTES:
                path.unlink(missing_ok=True)
                return False
            private_folder(self.folder)
            data = zlib.compress(text, 1)
            write_whole(path, self._seal(data) + b"\n" + data, mode=0o600)
        except OSError:
            return False
        return True

    def _seal(self, data: bytes) -> bytes:
        return hmac.new(self._key, data, "sha256").hexdigest().encode()


def private_folder(folder: Path) -> Path:
    """The folder, made where it is missing; nobody but its owner may look into it."""
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_mode & 0o077:
        folder.chmod(0o700)
    return folder


def _written(record: Record) -> bytes:
    """One line of JSON, then one line for each answer."""
    outcome, lines, asked = record.outcome, [], []
    size = 0
    for label, questions in record.asked.items():
        for each in questions:
            asked.append([label, each.question, len(each.answers)])
            for answer in each.answers:
                lines.append(_answer_line(answer))
                size += len(lines[-1])
                if size > MAX_BYTES:
                    return b""
    head = {
        "format": FORMAT,
        "student": record.student,
        "chapter": record.chapter,
        "attempt": record.attempt,
        "run": record.run,
        **{name: getattr(outcome, name) for name in FACTS},
        "spent": outcome.spent,
        "notes": outcome.notes,
        "outputs": outcome.outputs,
        "asked": asked,
    }
    return b"\n".join([json.dumps(head).encode(), *lines, b""])


def _answer_line(answer: Any | Raised) -> bytes:
    if isinstance(answer, Raised):
        return b"E" + json.dumps([answer.kind, answer.message]).encode()
    return b"A" + (_quickly(answer) or wire.encode(answer))


def _quickly(answer: Any) -> bytes:
    """The same encoding where plain JSON is it, several times as fast; nothing for arrays and what JSON lacks.

    Only for what `wire.decode` gave: it holds no subclass of anything.
    """
    try:
        data = json.dumps(answer, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError):
        return b""
    # the mark of a form of its own, and integers that have one
    return b"" if len(data) > wire.MAX_BYTES or b'"~"' in data or LONG_NUMBER.search(data) else data


def _read(text: bytes) -> Record | None:
    first, *lines = text.split(b"\n")
    head = json.loads(first)
    if head["format"] != FORMAT:
        return None
    asked: dict[str, tuple[Asked, ...]] = {}
    rest = iter(lines)
    for label, question, count in head["asked"]:
        answers = [_answer(next(rest, b"")) for _ in range(count)]
        asked[label] = (*asked.get(label, ()), Asked(question, answers))
    facts = {name: head[name] for name in (*FACTS, "spent", "notes", "outputs")}
    return Record(head["student"], head["chapter"], head["attempt"], head["run"], Outcome(**facts), asked)


def _answer(line: bytes) -> Any | Raised:
    if line[:1] == b"A":
        return wire.decode(line[1:])
    kind, message = json.loads(line[1:])
    return Raised(kind, message)

"""Citations from `book/references.bib`, as words that need no extension: "Chen and Goodman (1999)"."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader.errors import AuthoringError


@dataclass(frozen=True)
class Reference:
    """One entry of the bibliography.

    Attributes:
        authors: surnames as cited, "Chen and Goodman", "Brown et al.".
        entry: the line of a list of references.
    """

    key: str
    authors: str
    year: str
    url: str
    entry: str

    def textual(self) -> str:
        """As a part of the sentence: Chen and Goodman (1999)."""
        return self._linked(f"{self.authors} ({self.year})")

    def parenthetical(self) -> str:
        """As it stands inside parentheses: Chen and Goodman, 1999."""
        return self._linked(f"{self.authors}, {self.year}")

    def _linked(self, words: str) -> str:
        return f"[{words}]({self.url})" if self.url else words


def load_references(path: Path) -> dict[str, Reference]:
    """The bibliography by key; empty where there is no file.

    Raises:
        AuthoringError: when the file is not BibTeX.
    """
    return _load(path, path.stat().st_mtime_ns) if path.is_file() else {}


@functools.cache
def _load(path: Path, modified: int) -> dict[str, Reference]:
    from pybtex.database import parse_file
    from pybtex.exceptions import PybtexError

    try:
        entries = parse_file(str(path), bib_format="bibtex").entries
    except PybtexError as error:
        raise AuthoringError(
            path, getattr(error, "lineno", None), f"not BibTeX: {error}", "correct the entry"
        ) from None
    return {key: _reference(key, entry) for key, entry in entries.items()}


def _reference(key: str, entry: Any) -> Reference:
    fields = {name.lower(): _plain(value) for name, value in entry.fields.items()}
    people = entry.persons.get("author") or entry.persons.get("editor") or []
    surnames = [_plain(" ".join([*person.prelast_names, *person.last_names])) for person in people]
    full = [
        _plain(" ".join([*person.first_names, *person.middle_names, *person.prelast_names, *person.last_names]))
        for person in people
    ]
    doi = fields.get("doi", "").removeprefix("https://doi.org/")
    url = f"https://doi.org/{doi}" if doi else fields.get("url", "")
    authors = _and(surnames) if len(surnames) <= 2 else f"{surnames[0]} et al."
    year = fields.get("year", "n.d.")
    place = next(
        (
            fields[name]
            for name in ("journal", "booktitle", "publisher", "institution", "school", "howpublished", "note")
            if fields.get(name)
        ),
        "",
    )
    parts = [
        f"{_and(full) or key} ({year})",
        fields.get("title", ""),
        f"*{place}*" if place else "",
        f"<{url}>" if url else "",
    ]
    return Reference(key, authors or key, year, url, ". ".join(part.rstrip(".") for part in parts if part) + ".")


def _plain(text: str) -> str:
    from pybtex.richtext import Text

    return " ".join(str(Text.from_latex(text)).split())


def _and(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)

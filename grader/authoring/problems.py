"""Collecting an author's mistakes, so that one run of `course check` shows all of them."""

from pathlib import Path

from grader.errors import AuthoringError


class Problems:
    """The problems found so far; paths are shown relative to the course's root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.found: list[AuthoringError] = []

    def add(self, path: Path, line: int | None, problem: str, remedy: str) -> None:
        """Note one problem."""
        shown = path.relative_to(self.root) if path.is_relative_to(self.root) else path
        self.found.append(AuthoringError(shown, line, problem, remedy))

    def take(self, error: AuthoringError) -> None:
        """Note a problem that another part raised."""
        self.add(error.path, error.line, error.problem, error.remedy)

    def in_order(self) -> list[AuthoringError]:
        """Every problem once, by file and line."""
        unique = {str(error): error for error in self.found}
        return sorted(unique.values(), key=lambda error: (error.path.suffix != ".md", str(error.path), error.line or 0))

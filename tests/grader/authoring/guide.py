"""The files that stand in the authors' guide, each in a block whose caption is its place."""

import re
from pathlib import Path

GUIDE = Path(__file__).resolve().parents[3] / "book" / "making" / "writing-an-exercise.md"
BLOCK = re.compile(r"^(`{3,})\{code-block\} \w+\n:caption: (\S+)\n\n(.*?)^\1$", re.DOTALL | re.MULTILINE)


def files_of_the_guide() -> dict[str, str]:
    """Texts by their place in a course."""
    return {name: text for _, name, text in BLOCK.findall(GUIDE.read_text(encoding="utf-8"))}


def prose_of_the_guide() -> str:
    """The guide without these files."""
    return BLOCK.sub("", GUIDE.read_text(encoding="utf-8"))

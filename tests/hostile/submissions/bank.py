"""The whole bank, in one list."""

from . import cells, names  # noqa: F401
from .entry import Entry, code_entries
from .folders import FOUND as FOLDERS
from .notebooks import FOUND as NOTEBOOKS

BANK: list[Entry] = [*code_entries(), *NOTEBOOKS, *FOLDERS]

"""From a chapter's MyST page to notebooks: reading, checking, building.

What other parts call::

    from grader.authoring import load_page, check_chapter
    from grader.authoring.notebooks import source_notebook, student_notebook, book_notebook, strip_solutions
"""

from grader.authoring.checking import check_chapter, check_course, load_page
from grader.authoring.page import Cell, Exercise, Page

__all__ = ["Cell", "Exercise", "Page", "check_chapter", "check_course", "load_page"]

"""What is folded on the page is HTML's own `<details>`, also where no script runs; in an EPUB it stands open."""

import re

from grader.book.site import Site


def test_a_hint_is_a_details_element_named_by_its_title(student_site: Site) -> None:
    page = (student_site.folder / "chapters/01-tiny/tiny.html").read_text(encoding="utf-8")
    hint = re.search(
        r'<details class="hint dropdown admonition">\s*<summary class="admonition-title">(.*?)</summary>', page
    )
    assert hint
    assert hint[1] == "How to begin"
    assert "togglebutton" not in page


def test_each_choice_of_a_quiz_opens_to_its_explanation(student_site: Site) -> None:
    page = (student_site.folder / "chapters/01-tiny/tiny.html").read_text(encoding="utf-8")
    choices = re.findall(
        r'<details class="quiz-choice (right|wrong) dropdown admonition">(.*?)</details>', page, re.DOTALL
    )
    assert {kind for kind, _ in choices} == {"right", "wrong"}
    for kind, text in choices:
        assert ("<strong>Right:</strong>" if kind == "right" else "<strong>Not so:</strong>") in text

"""Every repair still has something to repair, and leaves the rest of a page alone."""

import re
from pathlib import Path

import pytest

from grader.book.polish import REPAIRS, Repair, polish
from grader.book.site import Site

EMPTY_HEADS = (
    '<table class="table">\n<thead>\n<tr class="row-odd"><th class="head"><p></p></th>\n'
    '<th class="head"><p></p></th>\n</tr>\n</thead>\n<tbody><tr><td>a</td></tr></tbody></table>'
)


@pytest.mark.parametrize("repair", REPAIRS, ids=lambda repair: repair.why[:40])
def test_each_repair_meets_a_fault_of_the_unmended_pages(repair: Repair, student_site: Site) -> None:
    unmended = student_site.folder.parent / "html"
    texts = [
        EMPTY_HEADS,
        "<p>10 %, or more</p>",
        *(path.read_text(encoding="utf-8") for path in unmended.rglob("*.html")),
    ]
    assert any(re.search(repair.pattern, text) for text in texts), repair.why
    for path in student_site.folder.rglob("*.html"):
        mended = path.read_text(encoding="utf-8")
        assert re.sub(repair.pattern, repair.becomes, mended) == mended, f"{path} is not mended"


def test_only_a_row_of_heads_that_are_all_empty_goes(tmp_path: Path) -> None:
    named = EMPTY_HEADS.replace("<p></p>", "<p>n</p>", 1)
    (tmp_path / "empty.html").write_text(EMPTY_HEADS, encoding="utf-8")
    (tmp_path / "named.html").write_text(named, encoding="utf-8")
    polish(tmp_path, "")
    assert "thead" not in (tmp_path / "empty.html").read_text(encoding="utf-8")
    assert (tmp_path / "named.html").read_text(encoding="utf-8") == named


def test_the_commit_is_in_the_footer_where_there_is_one(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    for commit, words in (("abc1234+", "Edition 1, commit abc1234+."), ("", "Edition 1.")):
        page.write_text("Edition 1<!--commit-->.", encoding="utf-8")
        polish(tmp_path, commit)
        assert page.read_text(encoding="utf-8") == words

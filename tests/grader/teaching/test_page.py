"""The page of a report: what a student wrote is never markup, and it is the same each time."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from grader.teaching.page import as_page, write_page
from grader.teaching.report import ClassReport, Column, Row
from grader.teaching.results import Failure, Finished
from grader.teaching.summary import Said, Summary, Suspicion, Unplaced, summarise

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\u2028'\"&amp;"
KNOWN = {"thead", "tbody", "script", "style", "section", "nav", "main", "header"}


def hostile() -> Summary:
    """A summary in which everybody who can write a word wrote markup."""
    names = [EVIL[:60], "<!--", "]]>", "%2e%2e", "../../etc", "ann"]
    results = {
        name: Finished(
            name,
            failures=(Failure("a", EVIL, f"{EVIL} {place}"),),
            repairs=(EVIL,),
            suspicious=(EVIL,),
            remark=EVIL,
            isolation="none",
            start="<b>",
            seconds=1.0,
        )
        for place, name in enumerate(names)
    }
    columns = (Column("a-checks", f"1.1 {EVIL}", 1.0), Column(EVIL, EVIL, 1.0))
    rows = tuple(Row(name, {"a-checks": 0.5, EVIL: None}) for name in names)
    summary = summarise(ClassReport(EVIL, columns, rows, (EVIL,)), "07-<b>'\"", results, [])
    return Summary(
        **{
            **vars(summary),
            "unplaced": (Unplaced(EVIL, EVIL),),
            "repairs": (Said(EVIL, 3, (EVIL,)),),
            "suspicious": (*summary.suspicious, Suspicion("alike", (EVIL, "ann"), (EVIL,), EVIL)),
        }
    )


class Reader(HTMLParser):
    """The tags, handlers and addresses of a page, and the text of its scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.inside = False
        self.attributes: list[tuple[str, str, str | None]] = []
        self.scripts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.inside = tag == "script"
        self.attributes += [(tag, name, value) for name, value in attributes]

    def handle_endtag(self, tag: str) -> None:
        self.inside = False

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.scripts.append(data)


def test_nothing_that_a_student_wrote_is_markup() -> None:
    page = Reader(as_page(hostile(), "").decode())
    assert page.tags.count("script") == 2
    assert not {"img", "iframe", "object", "form", "b"} & set(page.tags)
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    for tag, name, value in page.attributes:
        if name in ("href", "src"):
            assert tag == "a"
            assert re.match(r"#|feedback/", value), value
            assert "/../" not in f"/{value}"


def test_the_data_are_ascii_and_hold_no_sign_that_ends_a_script() -> None:
    text = as_page(hostile(), "").decode()
    data = text.split('id="data">', 1)[1].split("</script>", 1)[0]
    assert data.isascii()
    assert not set("<>&") & set(data)
    assert json.loads(data)["rows"][0][0] == EVIL[:60].replace("\u2028", "?")


def test_the_page_allows_its_own_script_alone_and_is_the_same_each_time() -> None:
    import base64
    import hashlib

    page = as_page(hostile(), "")
    assert as_page(hostile(), "") == page
    reader = Reader(page.decode())
    (policy,) = [value for tag, _, value in reader.attributes if tag == "meta" and value and "default-src" in value]
    digest = base64.b64encode(hashlib.sha256(reader.scripts[-1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


def test_names_link_to_their_feedback_only_from_inside_the_class_folder(tmp_path: Path) -> None:
    report = ClassReport("x", (Column("a-checks", "1.1", 1.0),), (Row("a b/%é", {"a-checks": 1.0}), Row("lost", {})))
    results = {"a b/%é": Finished("a b/%é", failures=(Failure("a", "c", "w"),), seconds=1.0)}
    summary = summarise(report, "01 x", results, [])
    root = tmp_path / "class"
    ways = {}
    for name, path in {"in": root / "r.html", "deep": root / "a" / "b" / "r.html", "out": tmp_path / "r.html"}.items():
        write_page(summary, path, root)
        ways[name] = path.read_text(encoding="utf-8")
    assert 'href="feedback/a%20b%2F%25%C3%A9/01%20x/feedback.html"' in ways["in"]
    assert 'href="../../feedback/a%20b%2F%25%C3%A9/01%20x/feedback.html"' in ways["deep"]
    assert "feedback.html" not in ways["out"].split("<main>")[1].split("<script")[0]
    data = {name: json.loads(page.split('id="data">')[1].split("</script>")[0]) for name, page in ways.items()}
    assert (data["deep"]["before"], data["out"]["before"]) == ("../../feedback/", None)
    assert data["in"]["after"] == "/01%20x/feedback.html"
    assert [row[4] for row in data["in"]["rows"]] == [1, 0], "one who has no result has no link"


def test_the_numbers_are_there_without_the_script(report_of: Any) -> None:
    summary = summarise(report_of((2.0, 3.0), (2.0, 0.0), (0.5, None)), None, {}, [])
    text = as_page(summary).decode().split('<script type="application/json"')[0]
    for words in ("2.50", "1.50 of 2", "67%", "33%", "needs JavaScript", "1.2 Second", "1 answer waits"):
        assert words in text, words
    assert Reader(text).tags.count("h1") == 1


def test_a_class_without_students_is_a_page_too(report_of: Any) -> None:
    text = as_page(summarise(report_of(), "01-x", {}, [])).decode()
    assert "No student has a grade." in text
    assert set(Reader(text).tags) >= KNOWN

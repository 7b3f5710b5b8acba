"""The page of `course report --html`: day and night, desk and phone, hostile names, the keyboard alone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from grader.teaching.page import write_page
from grader.teaching.report import ClassReport, Column, Row
from grader.teaching.results import Failure, Finished
from grader.teaching.summary import Said, Summary, Suspicion, Unplaced, summarise

from .test_pages import AXE, OVERFLOW, RUN_AXE

pytestmark = pytest.mark.browser

FOCUSED = "() => document.activeElement.textContent || document.activeElement.id"

EVIL = "</script><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">"
ODD_NAMES = (
    "\u202eevil",
    "עדה לוליס",
    "😀 smile",
    "javascript:alert(1)",
    "O'Brien & <b>Söhne</b>",
    "../../up",
    EVIL,
)
CELLS = "column => [...document.querySelectorAll('#table tbody tr')].map(row => row.cells[column].textContent)"
UNLABEL = "() => { const s = document.getElementById('search'); s.parentElement.replaceWith(s); }"
ADD_SCRIPT = """() => { const made = document.createElement('script'); made.text = 'window.ran = 1';
    document.body.append(made); }"""


def summary_of(count: int) -> Summary:
    """A class whose totals differ, with every section of the page in it."""
    labels = [f"task-{number}" for number in range(1, 9)]
    names = [*ODD_NAMES, *(f"student-{number:05}" for number in range(count - len(ODD_NAMES)))]
    results, rows = {}, []
    for place, name in enumerate(names):
        points = {f"{label}-checks": float((place * 7 + number * number) % 4) for number, label in enumerate(labels)}
        points["why"] = None if place % 5 == 0 else 1.5
        failures = [
            Failure(label, "values", f"{EVIL} the sum of [{place}] is not {number}: is every number added?")
            for number, label in enumerate(labels)
            if points[f"{label}-checks"] < 3
        ]
        rows.append(Row(name, points, waiting=int(place % 5 == 0)))
        results[name] = Finished(
            name,
            failures=tuple(failures),
            repairs=("The answer cell of task-1 is missing; it counts as not answered.",) * (place % 9 == 0),
            suspicious=(f"a cell printed {EVIL}",) * (place == 3),
            isolation="bubblewrap" if place % 50 else "none",
            start="warm" if place % 7 else "cold",
            spent=tuple((label, 0.1 * number) for number, label in enumerate(labels)),
            seconds=1.0 + place % 13,
            peak_mb=200.0 + place % 11,
        )
    columns = [Column(f"{label}-checks", f"1.{place} {label} {EVIL}", 3.0) for place, label in enumerate(labels, 1)]
    report = ClassReport("A chapter & more", (*columns, Column("why", "1.9 Why", 2.0)), tuple(rows), ("zed", EVIL))
    found = summarise(report, "01-tiny", results, [])
    return Summary(
        **{
            **vars(found),
            "suspicious": (*found.suspicious, Suspicion("alike", tuple(names[7:9]), ("task-1",), "almost the same")),
            "unplaced": (Unplaced(EVIL, "The notebook is not valid JSON."),),
            "remarks": (Said("started cold", 3, tuple(names[:3])),),
        }
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page in a class folder, with the feedback pages of two students."""
    root = tmp_path_factory.mktemp("school") / "class"
    path = root / "reports" / "class.html"
    write_page(summary_of(300), path, root)
    for student in ("student-00004", ODD_NAMES[4]):
        if "/" not in student:
            page = root / "feedback" / student / "01-tiny" / "feedback.html"
            page.parent.mkdir(parents=True)
            page.write_text(f"<!doctype html><title>feedback</title><p>{len(student)}", encoding="utf-8")
    return path


class Opened:
    """The page in a browser that notes everything it should not do."""

    def __init__(self, context: BrowserContext, path: Path) -> None:
        self.problems: list[str] = []
        self.address = path.as_uri()
        self.page: Page = context.new_page()
        self.page.on("request", lambda request: self.asked(request.url))
        self.page.on("console", lambda line: self.problems.append(f"console: {line.text}"))
        self.page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        self.page.on("dialog", lambda dialog: self.problems.append(f"dialog: {dialog.message}"))
        self.page.goto(self.address)

    def asked(self, url: str) -> None:
        """Note a request for anything but the page itself."""
        if url.split("#")[0] != self.address:
            self.problems.append(f"request: {url}")

    def rows(self) -> list[str]:
        """The names in the table."""
        return self.page.evaluate(CELLS, 0)


@pytest.fixture
def opened(chromium: Browser, written: Path) -> Iterator[Opened]:
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    opened = Opened(context, written)
    yield opened
    context.close()
    assert not opened.problems, opened.problems


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_fits_asks_nothing_of_anybody_and_can_be_read_by_everybody(
    width: int, scheme: Literal["light", "dark"], chromium: Browser, written: Path
) -> None:
    context = chromium.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True, reduced_motion="reduce"
    )
    opened = Opened(context, written)
    page = opened.page
    page.click("summary")
    assert page.evaluate(OVERFLOW) <= 0
    paper = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") == (scheme == "light")
    page.add_script_tag(path=AXE)
    assert page.evaluate(RUN_AXE) == []
    assert not opened.problems, opened.problems
    page.evaluate(UNLABEL)
    assert any(found.startswith("label") for found in page.evaluate(RUN_AXE)), "axe sees a fault"
    context.close()


def test_hostile_names_and_words_are_only_read(opened: Opened) -> None:
    assert opened.page.title() == "A chapter & more: the class"
    opened.page.select_option("#size", "1000")
    names = opened.rows()
    assert len(names) == 300
    for name in ODD_NAMES[1:]:
        assert name in names
    assert "?evil" in names, "a sign that turns the line around is not shown"
    assert opened.page.evaluate("() => document.querySelectorAll('img, b, iframe').length") == 0
    assert opened.page.evaluate("() => document.scripts.length") == 2
    links = opened.page.evaluate("() => [...document.querySelectorAll('tbody a')].map(a => a.href)")
    assert links
    home = opened.address.rsplit("/", 2)[0]
    assert all(link.startswith(f"{home}/feedback/") and link.endswith("/01-tiny/feedback.html") for link in links)


def test_the_script_of_the_page_is_the_only_one_that_may_run(opened: Opened) -> None:
    opened.page.evaluate(ADD_SCRIPT)
    assert opened.page.evaluate("() => window.ran") is None
    assert any("Content Security Policy" in problem for problem in opened.problems)
    opened.problems.clear()


def test_the_table_is_sorted_and_searched_by_keyboard_alone(opened: Opened) -> None:
    page = opened.page
    page.focus("#search")
    page.keyboard.type("STUDENT-0002")
    assert opened.rows() == [f"student-{number:05}" for number in range(20, 30)]
    assert page.text_content("#status") == "1 to 10 of 10 found among 300 students"
    for _ in range(5):  # past the two choices and the frame of the table to the second heading
        page.keyboard.press("Tab")
    assert page.evaluate(FOCUSED) == "total"
    page.keyboard.press("Enter")
    totals = [float(points) for points in page.evaluate(CELLS, 1)]
    assert totals == sorted(totals, reverse=True)
    assert len(set(totals)) > 1
    heading = page.locator("#table th[data-column='1']")
    assert heading.get_attribute("aria-sort") == "descending"
    page.keyboard.press("Space")
    assert heading.get_attribute("aria-sort") == "ascending"
    assert page.locator("#table th[aria-sort]").count() == 1
    page.focus("#search")
    page.keyboard.press("Control+A")
    page.keyboard.press("Delete")
    assert page.text_content("#status") == "1 to 50 of 300 students"


def test_a_name_in_another_script_is_found_and_nothing_is_found_for_nobody(opened: Opened) -> None:
    opened.page.fill("#search", "לוליס")
    assert opened.rows() == ["עדה לוליס"]
    opened.page.fill("#search", "nobody at all")
    assert opened.rows() == []
    assert opened.page.text_content("#status") == "nobody found among 300 students"
    assert opened.page.is_disabled("#before")
    assert opened.page.is_disabled("#after")


def test_pages_hold_each_student_once(opened: Opened) -> None:
    page = opened.page
    page.select_option("#size", "200")
    first = opened.rows()
    page.focus("#after")
    page.keyboard.press("Enter")
    second = opened.rows()
    assert (len(first), len(second)) == (200, 100)
    assert len({*first, *second}) == 300
    assert page.is_disabled("#after")
    page.click("#before")
    assert opened.rows() == first


def test_the_choice_shows_whom_a_person_must_grade_and_look_at(opened: Opened) -> None:
    opened.page.select_option("#size", "1000")
    opened.page.select_option("#choice", "waiting")
    assert len(opened.rows()) == 60
    opened.page.select_option("#choice", "look")
    assert len(opened.rows()) == 6 + 1 + 2, "six without a sandbox, one odd, two alike"


def test_points_that_nobody_gave_stay_at_the_end_of_both_orders(opened: Opened) -> None:
    page = opened.page
    page.select_option("#size", "1000")
    for _ in range(2):
        page.click("#table th[data-column='15'] button")
        last = page.evaluate(CELLS, 10)[-60:]
        assert set(last) == {"–"}


def test_a_name_leads_to_the_feedback(opened: Opened) -> None:
    opened.page.fill("#search", "student-00004")
    opened.page.click("#table tbody a")
    assert opened.page.title() == "feedback"
    assert opened.problems == [f"request: {opened.page.url}"]
    opened.problems.clear()


def test_without_javascript_the_summary_is_there(chromium: Browser, written: Path) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(written.as_uri())
    assert page.locator("h2").all_text_contents()[:3] == [
        "Totals",
        "How hard each exercise was",
        "What went wrong",
    ]
    assert page.locator("#table").is_hidden()
    assert page.get_by_text("The table of students needs JavaScript").is_visible()
    context.close()


def test_a_printed_page_has_no_controls_and_keeps_the_numbers(opened: Opened) -> None:
    opened.page.emulate_media(media="print")
    assert opened.page.locator("#search").is_hidden()
    assert opened.page.locator("nav").is_hidden()
    assert opened.page.get_by_text("How hard each exercise was").last.is_visible()
    assert opened.page.pdf().startswith(b"%PDF")

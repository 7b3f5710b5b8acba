"""Every page of the published book, on a desk and on a phone, by day and by night."""

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import axe_playwright_python
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, Route

# the first test waits until every chapter was executed, a minute each
pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(2400)]

AXE = Path(axe_playwright_python.__file__).parent / "axe.min.js"
IMAGE_SUFFIXES = (".png", ".svg", ".jpg", ".jpeg", ".gif", ".webp")

# axe resolves a style sheet's own imports against the page and asks for files that are not there: no preload
RUN_AXE = """async rules => (await axe.run({preload: false, rules: rules || {}})).violations.map(
    found => `${found.id}: ${found.help}: ${found.nodes[0].html.slice(0, 160)}`)"""
STRUCTURE = {"color-contrast": {"enabled": False}}
CONTRAST = """async () => {
    // a chapter has ten thousand pieces of text in some two hundred styles: one piece of each style tells
    const styles = new Map();
    for (const node of document.querySelectorAll('body *')) {
        if (![...node.childNodes].some(child => child.nodeType === Node.TEXT_NODE && child.data.trim())) continue;
        const path = [];
        for (let at = node.closest('.katex') || node; at !== document.body; at = at.parentElement) {
            const striped = at.tagName === 'TR' ? at.rowIndex % 2 : '';
            path.push([at.tagName, at.className, at.getAttribute('style'), striped].join('.'));
        }
        const style = path.join(' ');
        if (!styles.has(style)) styles.set(style, node);
    }
    const found = await axe.run([...styles.values()], {preload: false, runOnly: ['color-contrast']});
    return found.violations.flatMap(rule => rule.nodes.map(node => `${rule.id}: ${node.html.slice(0, 160)}`));
}"""
IMAGES = "() => [...document.images].map(image => [image.getAttribute('src'), image.getAttribute('alt')])"
OVERFLOW = "() => document.documentElement.scrollWidth - window.innerWidth"

CUT_FORMULAS = """() => [...document.querySelectorAll('div.math')].filter(math =>
    math.querySelector('.katex-html').getBoundingClientRect().left < math.getBoundingClientRect().left - 1
    ).map(math => math.id || math.textContent.slice(0, 40))"""


def pages_of(site: Path) -> list[str]:
    return sorted(path.relative_to(site).as_posix() for path in site.rglob("*.html"))


class Watch:
    """What a page asks for from outside, what it cannot find, and what it complains about."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        self.problems: list[str] = []
        self.home = urlsplit(address).netloc
        context.route("**/*", self.decide)
        self.page: Page = context.new_page()
        self.page.on("console", lambda line: self.note("console", line.text) if line.type == "error" else None)
        self.page.on("pageerror", lambda error: self.note("error", str(error)))
        self.page.on("response", lambda answer: self.note("missing", answer.url) if answer.status >= 400 else None)

    def decide(self, route: Route, request: Request) -> None:
        """Let requests to the site pass, and note and stop all others."""
        if urlsplit(request.url).netloc in (self.home, "") or request.url.startswith(("data:", "blob:")):
            route.continue_()
        else:
            self.note("outside request", request.url)
            route.abort()

    def note(self, kind: str, words: str) -> None:
        """Remember a problem of the page that is open."""
        self.problems.append(f"{self.page.url}: {kind}: {words}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_every_page_is_self_contained_fits_and_can_be_read_by_everybody(
    width: int, scheme: Literal["light", "dark"], chromium: Browser, site: Path, address: str
) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    watch = Watch(context, address)
    page = watch.page
    for name in pages_of(site):
        page.goto(f"{address}/{name}", wait_until="networkidle")
        if page.evaluate("() => document.documentElement.dataset.theme") != scheme:
            watch.note("colours", f"the page is not {scheme} by itself")
        if (wider := page.evaluate(OVERFLOW)) > 0:
            watch.note("overflow", f"{wider} pixels wider than {width}")
        for formula in page.evaluate(CUT_FORMULAS):
            watch.note("formula", f"{formula} does not begin at its left end")
        for source, words in page.evaluate(IMAGES):
            if not words or words.lower().endswith(IMAGE_SUFFIXES) or words in source:
                watch.note("image without words", f"{source} has alt={words!r}")
        if (width == 390) == (scheme == "dark"):
            # contrast depends on the colours, order and size on the width: two of four see it all, in half the time
            page.add_script_tag(path=AXE)
            for violation in page.evaluate(RUN_AXE, STRUCTURE) + page.evaluate(CONTRAST):
                watch.note("axe", violation)
    context.close()
    assert not watch.problems, "\n".join(watch.problems)


def test_axe_sees_a_fault(chromium: Browser, address: str) -> None:
    """The negative control: a page without violations means something only if a bad one has them."""
    page = chromium.new_page()
    page.goto(f"{address}/index.html")
    page.evaluate("() => { document.querySelector('article h1').innerHTML = '<img src=\"x.png\">' }")
    page.add_style_tag(content="article .caption-text, article p { color: #999; background: white }")
    page.add_script_tag(path=AXE)
    assert any(found.startswith("image-alt") for found in page.evaluate(RUN_AXE, STRUCTURE))
    assert any(found.startswith("color-contrast") for found in page.evaluate(CONTRAST))
    page.close()


@pytest.mark.parametrize("by", ["http", "file"])
@pytest.mark.parametrize(
    ("word", "place"),
    [("perplexity", "chapters/01-lm-basics/"), ("sequence_logprob", "library/01-lm-basics"), ("regrade", "teaching/")],
)
def test_search_finds_words_on_a_server_and_without_one(
    by: str, word: str, place: str, chromium: Browser, site: Path, address: str
) -> None:
    context = chromium.new_context()
    watch = Watch(context, address)
    home = address if by == "http" else site.as_uri()
    watch.page.goto(f"{home}/search.html?q={word}")
    watch.page.wait_for_selector("#search-results ul.search li a")
    links = watch.page.eval_on_selector_all("#search-results ul.search li > a", "all => all.map(a => a.href)")
    assert any(link.startswith(f"{home}/{place}") for link in links), links
    assert not watch.problems, watch.problems
    context.close()


def test_an_answer_is_offered_as_a_notebook_to_fill_in(chromium: Browser, address: str) -> None:
    page = chromium.new_page()
    page.goto(f"{address}/chapters/01-lm-basics/lm-basics.html")
    with page.expect_download() as started:
        page.click("a.download")
    text = started.value.path().read_text(encoding="utf-8")
    assert "Write your code here" in text
    assert "BEGIN SOLUTION" not in text
    page.close()


def test_code_is_copied_by_keyboard_and_without_prompts(chromium: Browser, address: str) -> None:
    context = chromium.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    for place, code in (
        ("chapters/01-lm-basics/lm-basics.html", "from byhand import lab  # before torch"),
        ("library/01-lm-basics.html", "mean_nll([(torch.tensor([1.0, 2.0, 9.0])"),
    ):
        page.goto(f"{address}/{place}", wait_until="load")
        cell = page.locator("div.highlight").filter(has_text=code).first
        cell.locator("button.copybtn").press("Enter")
        page.wait_for_function("code => navigator.clipboard.readText().then(text => text.startsWith(code))", arg=code)
    context.close()


def test_a_hint_opens_at_a_click_by_keyboard_and_without_script(chromium: Browser, address: str) -> None:
    for script in (True, False):
        context = chromium.new_context(java_script_enabled=script)
        page = context.new_page()
        page.goto(f"{address}/chapters/01-lm-basics/lm-basics.html", wait_until="load")
        hint = page.locator("details.hint").first
        text = hint.locator(":scope > :not(summary)").first
        assert not text.is_visible()
        hint.locator("summary").focus()
        page.keyboard.press("Enter")
        assert text.is_visible()
        hint.locator("summary").click()
        assert not text.is_visible()
        context.close()


def quiz(chromium: Browser, address: str) -> Page:
    page = chromium.new_context(viewport={"width": 390, "height": 900}).new_page()
    page.goto(f"{address}/chapters/01-lm-basics/lm-basics.html", wait_until="load")
    return page


def test_a_question_is_answered_by_keyboard_and_each_choice_explained(chromium: Browser, address: str) -> None:
    page = quiz(chromium, address)
    first = page.locator(".quiz").first
    choices, button = first.locator(".quiz-choice"), first.get_by_role("button", name="Check")
    right = [choices.nth(at).evaluate("box => box.classList.contains('right')") for at in range(choices.count())]
    assert right[:2] == [False, True], "the test takes the first choice, then the second"
    assert first.locator(".quiz-why:visible").count() == 0

    button.press("Enter")
    assert first.get_by_role("status").inner_text() == "Choose an answer first."
    first.get_by_role("radio").first.focus()
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    assert button.evaluate("button => button === document.activeElement")
    page.keyboard.press("Enter")
    assert first.locator(".quiz-why:visible").all_inner_texts()[0].startswith("Not so: Text has entropy")
    assert first.get_by_role("status").inner_text().startswith("Not so: Text has entropy"), "it is read aloud"

    first.get_by_role("radio").first.focus()
    page.keyboard.press("ArrowDown")
    button.press("Enter")
    assert first.get_by_role("status").inner_text().startswith("Right: With xt in the context")
    assert first.locator(".quiz-why:visible").count() == choices.count(), "now every choice tells why"
    assert button.count() == 0
    questions = page.locator(".quiz")
    score = page.locator(".quiz-score")
    assert score.inner_text() == f"1 of {questions.count()} answered, 0 right at the first try."

    second = questions.nth(1)
    second.locator(".quiz-choice.right input").check()
    second.get_by_role("button", name="Check").click()
    assert ", 1 right at the first try." in score.inner_text()
    page.add_script_tag(path=AXE)
    assert page.evaluate(RUN_AXE, {}) == []
    assert page.evaluate(OVERFLOW) <= 0
    page.context.close()


def test_on_paper_hints_are_open_and_questions_have_their_explanations(chromium: Browser, address: str) -> None:
    page = quiz(chromium, address)
    page.emulate_media(media="print")
    assert page.locator("details.hint > :not(summary)").first.is_visible()
    assert page.locator(".quiz-why").first.is_visible()
    assert not page.locator("details.hide > :not(summary)").first.is_visible()
    page.context.close()


def test_colours_are_those_of_the_reader_before_any_script_of_the_theme_has_run(
    chromium: Browser, address: str
) -> None:
    context = chromium.new_context(color_scheme="dark")
    page = context.new_page()
    page.route("**/*.js*", lambda route: route.abort())
    page.goto(f"{address}/index.html", wait_until="load")
    assert page.evaluate("() => document.documentElement.dataset.theme") == "dark"
    context.close()
    context = chromium.new_context(java_script_enabled=False, color_scheme="dark")
    page = context.new_page()
    page.goto(f"{address}/index.html", wait_until="load")
    assert page.locator("html").get_attribute("data-theme") == "light", "without script one of the two, and whole"
    context.close()

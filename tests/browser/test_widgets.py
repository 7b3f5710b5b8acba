"""Interactive figures: worked by keyboard, compared with what Python computes, read aloud, and there without script."""

import re
import threading
from collections.abc import Callable, Iterator
from functools import partial
from html import escape
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from byhand.bpe import BytePairTokenizer, train_bpe
from byhand.decoding.filters import top_k_filter, top_p_filter
from byhand.widgets import (
    Widget,
    attention_map,
    beam_tree,
    cache_steps,
    cluster_map,
    loss_scaling,
    merge_steps,
    quantization_grid,
    rank_slider,
    sampling,
    scaling_fit,
    speculative_steps,
)
from playwright.sync_api import Browser, Locator, Page

from .conftest import QuietHandler
from .test_pages import AXE, OVERFLOW, RUN_AXE, Watch

pytestmark = [pytest.mark.browser]

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,"><title>A figure</title>
<main><h1>A figure</h1>{}</main></html>"""

Open = Callable[..., Page]

TOKENS = ["[CLS]", "the", "</script>", "sat", "on", "the", "mat", "because", "it", "was", "tired", "[SEP]"]
RHYME = "a sailor went to sea sea sea\nto see what he could see see see\nso über the sea sea"
RANKS = [0, 1, 2, 4, 8, 12]


def random_weights() -> np.ndarray:
    scores = np.random.default_rng(3).normal(0, 2, (3, 4, len(TOKENS), len(TOKENS)))
    return np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)


def random_update() -> np.ndarray:
    rng = np.random.default_rng(4)
    return rng.normal(size=(16, 3)) @ rng.normal(size=(3, 12)) + 0.2 * rng.normal(size=(16, 12))


LOGITS = np.sort(np.random.default_rng(5).normal(0, 2, 40))[::-1].round(3)
TABLE = 2 * torch.randn(97, 6, generator=torch.Generator().manual_seed(8), dtype=torch.float64)
NAMES = ["a", "man", "who", "sat", "and", "."]


def logp(ids: tuple[int, ...]) -> torch.Tensor:
    return TABLE[sum(token * (at + 1) ** 2 for at, token in enumerate(ids)) % 97].log_softmax(-1)


def target(ids: torch.Tensor) -> torch.Tensor:
    return TABLE[ids].softmax(-1)


def draft(ids: torch.Tensor) -> torch.Tensor:
    return (TABLE[ids] + TABLE[ids + 20]).softmax(-1)


def guesses() -> Widget:
    rng = torch.Generator().manual_seed(2)
    return speculative_steps(target, draft, torch.tensor([0, 1]), NAMES, 3, 14, rng)


CHOSEN = [3, 14, 25]
ASSIGN = np.random.default_rng(6).permutation(np.arange(30) % 4)
KINDS = [f"kind {(number + (at % 5 == 0)) % 4}" for at, number in enumerate(ASSIGN)]


def question(at: int) -> str:
    return f"Question {at} asks about {'<b>' if at == 2 else 'a'} number, so what is it?"


def question_vectors() -> np.ndarray:
    rng = np.random.default_rng(7)
    return rng.normal(0, 4, (4, 6))[ASSIGN] + rng.normal(size=(30, 6))


def questions() -> Widget:
    vectors = question_vectors()
    return cluster_map([question(at) for at in range(30)], vectors, vectors[:, :2], ASSIGN, CHOSEN, KINDS)


WEIGHT = np.random.default_rng(9).normal(0, 0.1, (6, 80))
WEIGHT[2, 50] = 3.0
GRADIENT = np.random.default_rng(10).lognormal(-14, 5, 2000)


SIZES = np.array([1e3, 1e3, 4e3, 2e4, 1e5, 6e5])
LOSSES = (1.5 + 20 / SIZES**0.4) * np.array([1.01, 0.98, 1.0, 1.02, 0.99, 1.03])
LAWS = {4: (1.2, 12.5, 0.31), 5: (1.52, 20.5, 0.402), 6: (1.6, 22.25, 0.45)}


def law_of(sizes: np.ndarray, losses: np.ndarray) -> tuple[float, float, float]:
    """No fit: numbers that can be told apart."""
    return LAWS[len(sizes)]


CALLS: list[tuple[str, list[str] | int]] = [
    ("prefill", ["once", "a", "man", "<b>"]),
    ("decode", ["sat"]),
    ("verify", ["and", "who", "."]),
    ("cut", 6),
    ("decode", ["and"]),
    ("decode", ["sat"]),
]

FIGURES: dict[str, Callable[[], Widget]] = {
    "attention-map": lambda: attention_map(TOKENS, random_weights(), start=(2, 3)),
    "merge-steps": lambda: merge_steps([" sailor", " über", "what"], train_bpe(RHYME, 300)[1]),
    "rank-slider": lambda: rank_slider(random_update(), RANKS, {"right": [0.1, 0.4, 0.6, 0.7, 0.81, 0.8]}),
    "sampling": lambda: sampling([f"t{at}" for at in range(40)], LOGITS, shown=10),
    "beam-tree": lambda: beam_tree(logp, NAMES, 4, eos=5, alpha=0.6),
    "speculative-steps": guesses,
    "cluster-map": questions,
    "quantization-grid": lambda: quantization_grid(WEIGHT, 16, shown=48),
    "scaling-fit": lambda: scaling_fit(SIZES, LOSSES, law_of, fewest=3),
    "loss-scaling": lambda: loss_scaling(GRADIENT, largest=18),
    "cache-steps": lambda: cache_steps(CALLS, 3, 4, 8),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each figure in a page of its own, and all of them in one, the first twice."""
    root = tmp_path_factory.mktemp("figures")
    shown = {name: figure().html for name, figure in FIGURES.items()}
    for name, html in {**shown, "all": "".join([*shown.values(), next(iter(shown.values()))])}.items():
        (root / f"{name}.html").write_text(PAGE.format(html), encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[str]:
    """Where the pages are served."""
    handler = partial(QuietHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def figure(chromium: Browser, folder: Path) -> Iterator[Open]:
    """Opens a figure's page from the disk; nothing may be asked for or complained about until the test ends."""
    opened: list[Watch] = []

    def open_page(name: str) -> Page:
        watch = Watch(chromium.new_context(viewport={"width": 390, "height": 900}), "file://")
        opened.append(watch)
        watch.page.goto((folder / f"{name}.html").as_uri())
        return watch.page

    yield open_page
    problems = [problem for watch in opened for problem in watch.problems]
    for watch in opened:
        watch.page.context.close()
    assert not problems, problems


def said(page: Page) -> str:
    return page.locator(".said").first.inner_text()


def numbers(rows: Locator) -> list[list[str]]:
    return [row.locator("td").all_inner_texts() for row in rows.all()]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", [*FIGURES, "all"])
def test_it_is_self_contained_fits_and_can_be_read_by_everybody(
    name: str, width: int, scheme: Literal["light", "dark"], chromium: Browser, folder: Path, served: str
) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    watch = Watch(context, served)
    for address in (f"{served}/{name}.html", (folder / f"{name}.html").as_uri()):
        asked: list[str] = []
        watch.page.on("request", lambda request, asked=asked: asked.append(request.url))
        watch.page.goto(address, wait_until="networkidle")
        assert [url for url in asked if not url.startswith("data:")] == [address], "a figure asks for nothing"
        figures = watch.page.locator("[data-figure]")
        assert figures.count() == watch.page.locator("[data-live] .said[aria-live=polite]").count() > 0
        assert watch.page.evaluate(OVERFLOW) <= 0, f"wider than {width} pixels"
    watch.page.add_script_tag(path=AXE)
    assert watch.page.evaluate(RUN_AXE) == []
    context.close()
    assert not watch.problems, watch.problems


@pytest.mark.parametrize("name", FIGURES)
def test_without_script_the_same_stands_there_as_a_table(name: str, chromium: Browser, folder: Path) -> None:
    context = chromium.new_context(viewport={"width": 390, "height": 900}, java_script_enabled=False)
    page = context.new_page()
    page.goto((folder / f"{name}.html").as_uri())
    assert page.locator(".drawn caption").inner_text()
    assert page.locator(".drawn th[scope=row]").count() > 2
    assert page.locator(".drawn :is(button, select, input)").count() == 0
    assert escape(page.locator(".drawn th[scope=row]").last.inner_text()) in FIGURES[name]().html
    context.close()


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_that_shows_its_state_by_colour_also_says_it(name: str, figure: Open) -> None:
    page = figure(name)
    page.emulate_media(forced_colors="active")
    assert len(said(page)) > 20
    for cell in page.locator("[style*='--share']").all()[:20]:
        assert cell.inner_text().strip()


def test_attention_is_walked_by_arrow_keys(figure: Open) -> None:
    page, weights = figure("attention-map"), np.rint(100 * random_weights()).astype(int)
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")  # layer 2 to 3
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowUp")  # head 3 to 2
    page.keyboard.press("Tab")
    for _ in range(3):
        page.keyboard.press("ArrowDown")  # from place 2 to place 5
    assert page.evaluate("document.activeElement.textContent") == TOKENS[4]
    rows = numbers(page.locator("tr:has(th[scope=row])"))
    assert rows == [[str(value or "·") for value in row] for row in weights[2, 1].tolist()]
    row = weights[2, 1, 4]
    best = int(row.argmax())
    place = "itself" if best == 4 else f"“{TOKENS[best]}” (place {best + 1})"
    assert said(page).startswith(f"Layer 3, head 2: “on” (place 5) looks at {place} {row[best]} %")
    page.keyboard.press("End")
    page.keyboard.press("ArrowDown")
    assert "“[SEP]” (place 12) looks at" in said(page)
    assert page.locator("button[tabindex='0']").count() == page.locator("button[aria-pressed=true]").count() == 1


def test_merges_go_forth_and_back_and_end_where_the_tokenizer_ends(figure: Open) -> None:
    page = figure("merge-steps")
    vocab, merges = train_bpe(RHYME, 300)
    tokenizer = BytePairTokenizer(vocab, merges)
    boxes = page.locator(".tokens li")
    for number, word in enumerate([" sailor", " über", "what"]):
        page.locator("select").focus()
        if number:
            page.keyboard.press("ArrowDown")
        letters = boxes.all_inner_texts()
        assert len(letters) == len(word.encode())
        page.keyboard.press("Tab")  # back is disabled at the start
        assert page.evaluate("document.activeElement.textContent") == "Next merge"
        while "Next:" in said(page):
            left, right = page.locator("tr.chosen th").first.inner_text().split(" + ")
            rank = page.locator("tr.chosen td").first.inner_text()
            ranks = [int(row[0]) for row in numbers(page.locator("tr:has(th[scope=row])"))]
            assert int(rank) == min(ranks)
            assert f"Next: {left} + {right}, rank {rank}." in said(page)
            page.keyboard.press("Enter")
        wanted = [vocab[token].decode(errors="backslashreplace").replace(" ", "␣") for token in tokenizer.encode(word)]
        if word != " über":
            assert boxes.all_inner_texts() == wanted
        assert len(boxes.all_inner_texts()) == len(wanted)
        assert page.evaluate("document.activeElement.textContent") == "Back", "the focus is not lost at the end"
        while page.get_by_role("button", name="Back").is_enabled():
            page.keyboard.press("Enter")
        assert boxes.all_inner_texts() == letters


def test_a_rank_keeps_what_the_singular_values_say(figure: Open) -> None:
    page, update = figure("rank-slider"), random_update()
    left, sizes, right = np.linalg.svd(update)
    page.keyboard.press("Tab")
    page.keyboard.press("Home")
    unit = np.abs(update[:6, :6]).max()
    for at, rank in enumerate(RANKS):
        share = 100 * (sizes[:rank] ** 2).sum() / (sizes**2).sum()
        assert said(page).startswith(f"Rank {rank} of 12 keeps {round(share, 1):g} % (as a sum of squares)")
        assert f"with {28 * rank} numbers in place of 192." in said(page)
        assert page.locator("input").get_attribute("aria-valuetext") == f"rank {rank}"
        assert page.locator(".bars .kept").count() == rank
        cut = (left[:, :rank] * sizes[:rank]) @ right[:rank]
        shown = [[int(n.replace("−", "-")) for n in row] for row in numbers(page.locator("table").first.locator("tr"))]
        assert np.abs(np.array(shown) - 100 * cut[:6, :6] / unit).max() <= 0.51
        assert ["right: 0.10.", "right: 0.40.", "right: 0.60.", "right: 0.70.", "right: 0.81.", "right: 0.80."][
            at
        ] in said(page)
        page.keyboard.press("ArrowRight")


def test_sampling_filters_in_the_order_of_the_chapter_and_by_its_rules(figure: Open) -> None:
    page = figure("sampling")
    sliders = page.locator("input")

    def move(at: int, presses: int, key: str) -> None:
        sliders.nth(at).focus()
        for _ in range(presses):
            page.keyboard.press(key)

    settings = [(0, 0, 0), (5, 0, 0), (-5, 0, 4), (10, 4, 4), (4, 7, 10), (0, 3, 19), (0, 9, 2), (-9, 0, 1)]
    for warmer, fewer, less in settings:
        page.reload()
        move(0, abs(warmer), "ArrowRight" if warmer > 0 else "ArrowLeft")
        move(1, fewer, "ArrowLeft")
        move(2, less, "ArrowLeft")
        logits = torch.tensor(LOGITS.copy()) / (1 + warmer / 10)
        if fewer:
            logits = top_k_filter(logits, 11 - fewer)
        if less:
            logits = top_p_filter(logits, round(1 - less / 20, 2))
        probs = logits.softmax(-1)
        kept = int((probs > 0).sum())
        rows = numbers(page.locator("tr:has(th[scope=row])"))
        assert [row[1] for row in rows] == [f"{100 * p:.1f} %" if p > 0 else "0" for p in probs[:10].tolist()]
        assert said(page).startswith(f"{kept} of 40 tokens remain")
        for at, row in enumerate(rows):
            cut = "top-k" if fewer and at >= 11 - fewer else "top-p"
            assert row[2] == ("" if probs[at] > 0 else f"cut by {cut}")
    move(0, 1, "Home")
    assert "1 of 40 tokens remain: “t0” is certain." in said(page)
    assert sliders.first.get_attribute("aria-valuetext") == "0: greedy"


def test_beams_grow_step_by_step_to_what_is_found(figure: Open) -> None:
    page, runs = figure("beam-tree"), FIGURES["beam-tree"]().state["runs"]
    for run in runs:
        page.locator("select").focus()
        for _ in range(2):
            page.keyboard.press("ArrowUp")
        for _ in range(run["beams"] - 1):
            page.keyboard.press("ArrowDown")
        page.get_by_role("button", name="Next step").focus()
        for step in (1, 2, 3, 4):
            nodes = [node for node in run["nodes"] if node["step"] <= step]
            assert page.locator("li").count() == len(nodes)
            assert page.locator("li em", has_text="goes on").count() == sum(
                node["fate"] == "goes on" and not (step == 4 and at in run["best"]) for at, node in enumerate(nodes)
            )
            assert said(page).startswith(f"Step {step} of 4, {run['beams']} beam")
            if step < 4:
                page.keyboard.press("Enter")
        found = " ".join(run["nodes"][at]["token"] for at in run["best"])
        assert f"Found: “{found}”, score {run['score']:.2f}".replace("-", "−") in said(page)
        assert page.locator(".chosen").count() == len(run["best"])
        for _ in range(3):
            page.keyboard.press("Enter")  # the focus went to Back
        assert said(page).startswith("Step 1 of 4")


def test_guesses_are_decided_one_by_one(figure: Open) -> None:
    page, state = figure("speculative-steps"), guesses().state
    assert {event["kind"] for event in state["events"]} == {"kept", "replaced", "bonus"}
    page.keyboard.press("Tab")
    for at, event in enumerate(state["events"], start=1):
        assert said(page).startswith(f"Decision {at} of {len(state['events'])}: ")
        written = [*state["prefix"], *(each["token"] for each in state["events"][:at])]
        assert page.locator(".tokens li").all_inner_texts() == written
        assert page.locator("table").is_visible() == (event["kind"] != "bonus")
        assert {"kept": "is kept", "replaced": "is rejected", "bonus": "for nothing"}[event["kind"]] in said(page)
        if event["kind"] != "bonus":
            shown = page.locator("td").all_inner_texts()
            chance = min(1.0, event["p"] / event["q"])
            assert [float(each) for each in shown[:4]] == pytest.approx(
                [event["q"], event["p"], chance, event["coin"]], abs=6e-4
            )
        page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.textContent") == "Back"


def test_a_cluster_is_walked_from_its_centre_outwards(figure: Open) -> None:
    page, vectors = figure("cluster-map"), question_vectors()
    assert page.locator("svg text").count() == 30
    for number in range(4):
        members = np.flatnonzero(np.equal(ASSIGN, number))
        away = np.linalg.norm(vectors[members] - vectors[members].mean(0), axis=1)
        members = members[np.argsort(away)].tolist()
        page.locator("select").focus()
        if number:
            page.keyboard.press("ArrowDown")
        most = max(sum(KINDS[at] == kind for at in members) for kind in set(KINDS))
        assert said(page).startswith(f"Cluster {number + 1}: {len(members)} texts, {most} of the kind kind ")
        mine = [at for at in members if at in CHOSEN]
        for at in mine:
            place = members.index(at) + 1
            assert f"“{question(at)}” ({KINDS[at]}), place {place} from the centre" in said(page)
        assert ("None was chosen." in said(page)) == (not mine)
        assert page.locator("svg .inside text").all_text_contents() == [str(number + 1)] * len(members)
        assert page.locator("svg .inside rect").count() == len(mine)
        page.keyboard.press("Tab")
        for rank, at in enumerate(members, start=1):
            what = f"“{question(at)}” ({KINDS[at]})"
            if at in mine:
                what = f"{what}, one of the chosen" if len(mine) > 1 else "the chosen one"
            assert said(page).endswith(f" Place {rank}: {what}.")
            assert page.locator("input").get_attribute("aria-valuetext") == f"place {rank} of {len(members)}"
            page.keyboard.press("ArrowRight")
        assert f" Place {len(members)}: " in said(page), "the last one is the end"


def test_a_point_can_be_clicked(figure: Open) -> None:
    page, state = figure("cluster-map"), questions().state
    last = state["clusters"][2]["members"][-1]
    page.locator("svg text").filter(has_text="3").last.click()
    assert page.locator("select").input_value() == "2"
    assert said(page).startswith("Cluster 3:")
    page.locator("input").focus()
    page.keyboard.press("End")
    assert f"“{question(last)}”" in said(page)


def rounded(weight: np.ndarray, bits: int, width: int) -> np.ndarray:
    """Each run of `width` weights on an even grid of its own."""
    runs = weight.reshape(-1, width)
    low, high = runs.min(1, keepdims=True), runs.max(1, keepdims=True)
    step = (high - low) / (2**bits - 1)
    return (np.round((runs - low) / step) * step + low).reshape(weight.shape)


def percent(back: np.ndarray, weight: np.ndarray) -> float:
    return float(100 * np.sqrt(((back - weight) ** 2).mean() / (weight**2).mean()))


def said_before(page: Page, *words: str) -> list[float]:
    """The numbers in percent that stand before these words."""
    return [float(found[1]) if (found := re.search(rf"([\d.e-]+) % {each}", said(page))) else 0.0 for each in words]


def test_a_grid_shows_its_levels_and_says_its_error(figure: Open) -> None:
    page = figure("quantization-grid")
    state = quantization_grid(WEIGHT, 16, shown=48).state
    other = int(state["rows"][1]["name"])
    for which, (name, width) in enumerate([("the whole matrix", 480), ("each row", 80), ("each group of 16", 16)]):
        page.reload()
        page.keyboard.press("Tab")
        for _ in range(which):
            page.keyboard.press("ArrowDown")
        page.keyboard.press("Tab")
        page.keyboard.press("Home")
        for bits in range(2, 9):
            back = rounded(WEIGHT, bits, width)
            assert said(page).startswith(f"{bits} bits, a grid for {name}: {2**bits} levels, ")
            wanted = [percent(back[2], WEIGHT[2]), percent(back, WEIGHT)]
            assert said_before(page, "in this row", "in the matrix") == pytest.approx(wanted, rel=0.006)
            assert said(page).endswith(f"A weight takes {bits + 32 / width:.2f} bits with its grid.")
            page.keyboard.press("ArrowRight")
        page.keyboard.press("Home")
        assert page.locator("circle").count() == 48
        # the strokes lead to where rounding leads, from the row's own top to its own bottom
        page.keyboard.press("Tab")
        page.keyboard.press("ArrowDown")
        strokes = page.locator("path.misses").get_attribute("d") or ""
        ends = [float(stroke.split("V")[1]) for stroke in strokes.split("M")[1:]]
        window = np.array(state["rows"][1]["values"]) * state["rows"][1]["unit"] / 1000
        first = int(np.argmax([np.allclose(WEIGHT[other, at : at + 48], window, atol=1e-3) for at in range(33)]))
        row = WEIGHT[other, first : first + 48]
        heights = 460 * (row.max() - rounded(WEIGHT, 2, width)[other, first : first + 48]) / (row.max() - row.min())
        assert np.abs(np.array(ends) - heights).max() < 2


def test_fewer_levels_are_drawn_where_the_outlier_is_not(figure: Open) -> None:
    page = figure("quantization-grid")

    def levels() -> int:
        return (page.locator("path.levels").get_attribute("d") or "").count("M")

    assert levels() > 12
    page.locator("select").nth(1).select_option("1")
    assert 1 <= levels() <= 4, "one grid for all is stretched by the outlier"
    page.locator("select").first.select_option("1")
    assert 8 <= levels() <= 16
    page.locator("select").first.select_option("2")
    assert levels() == 48, "three groups of the row, each with all its levels"


def test_a_scaled_loss_moves_the_gradient_through_the_zones(figure: Open) -> None:
    page = figure("loss-scaling")
    page.keyboard.press("Tab")
    for power in range(19):
        with np.errstate(over="ignore"):
            held = (GRADIENT * 2.0**power).astype(np.float16)
        poor = (held > 0) & (held < 2.0**-14)
        wanted = [100 * float(part.mean()) for part in (held == 0, poor, np.isinf(held))]
        assert said(page).startswith(f"Loss times 2^{power} = {2**power:,}: ")
        found = said_before(page, "of the numbers become zero", "are subnormal", "become infinite")
        assert found == pytest.approx(wanted, rel=0.006)
        assert ("none becomes infinite" in said(page)) == (wanted[2] == 0)
        assert page.locator("input").get_attribute("aria-valuetext") == f"2 to the power of {power}"
        exponents = np.floor(np.log2(GRADIENT)) + power
        for zone, low, high in (("zero", -99, -25), ("subnormal", -25, -14), ("normal", -14, 16), ("infinite", 16, 99)):
            bars = page.locator(f"rect.{zone}")
            drawn = sum(float(bar.get_attribute("height") or 0) > 0 for bar in bars.all())
            assert drawn == len(np.unique(exponents[(exponents >= low) & (exponents < high)]))
        page.keyboard.press("ArrowRight")


def test_a_law_is_fitted_to_some_sizes_and_then_turned_by_hand(figure: Open) -> None:
    page = figure("scaling-fit")

    def check(floor: float, factor: float, exponent: float, used: int) -> None:
        says = floor + factor / SIZES**exponent
        inside = np.less_equal(SIZES, np.unique(SIZES)[used - 1])
        parts = [
            float(each.replace("−", "-"))
            for each in re.findall(r"(?:E|A|alpha|says|measured) (−?[\d.]+\d)", said(page))
        ]
        wanted = [floor, factor, exponent, says[-1], LOSSES[-1]]
        assert parts == pytest.approx(wanted, rel=0.006, abs=0.006)
        residual = 100 * float(np.sqrt(((says / LOSSES - 1)[inside] ** 2).mean()))
        assert f"off by {residual:.1f} %. Of the largest" in said(page)
        gap = 100 * float(says[-1] / LOSSES[-1] - 1)
        assert said_before(page, f"too {'high' if gap > 0 else 'low'}")[0] == pytest.approx(abs(gap), abs=0.06)
        off = [float(row[2].replace("−", "-").split()[0]) for row in numbers(page.locator("tr:has(th[scope=row])"))]
        assert off == pytest.approx((100 * (says / LOSSES - 1)).tolist(), abs=0.06)
        assert page.locator("circle").count() == inside.sum()
        assert page.locator("svg rect").count() == 6 - inside.sum()

    page.keyboard.press("Tab")
    for used in (3, 4, 5):
        assert said(page).startswith(f"Fitted to {used} of 5 sizes: ")
        check(*LAWS[used + 1], used)
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Home")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    assert said(page).startswith("Set by hand: ")
    check(1.21, 12.5, 0.31, 3)
    page.keyboard.press("Tab")
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    factor = 12.5 * 10**0.05
    check(1.21, factor, 0.31, 3)
    page.keyboard.press("Tab")
    before = page.locator("svg path").get_attribute("d") or ""
    for _ in range(9):
        page.keyboard.press("ArrowRight")
    middle = np.exp(np.log(np.unique(SIZES)).mean())
    after = 10 ** (np.log10(factor) + 0.09 * np.log10(middle))
    check(1.21, after, 0.4, 3)
    assert page.locator("svg path").get_attribute("d") != before
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert said(page).startswith("Fitted to 3 of 5 sizes: ")
    check(*LAWS[4], 3)


def test_the_cache_fills_and_forgets_call_by_call(figure: Open) -> None:
    page = figure("cache-steps")
    boxes = [
        ["new"] * 4,
        ["read"] * 4 + ["new"],
        ["read"] * 5 + ["new"] * 3,
        ["kept"] * 6 + ["cut"] * 2,
        ["read"] * 6 + ["new"],
        ["read"] * 7 + ["new"],
    ]
    sums = [(4, 4), (5, 9), (8, 17), (8, 17), (9, 24), (10, 32)]
    text = ["once", "a", "man", "<b>", "sat", "and", "who", "."]
    page.keyboard.press("Tab")
    for at, (name, fed) in enumerate(CALLS):
        shown = [line.split("\n") for line in page.locator(".tokens li").all_inner_texts()]
        assert [fate for _, fate in shown] == boxes[at]
        assert [word for word, _ in shown] == (text if at < 4 else [*text[:6], "and", "sat"])[: len(shown)]
        held = sum(fate != "cut" for fate in boxes[at])
        assert said(page).startswith(f"Call {at + 1} of 6, {name}: ")
        assert f"The cache holds {held} tokens: {held * 2 * 3 * 4 * 8 * 4:,} bytes." in said(page)
        assert said(page).endswith(f"So far {sums[at][0]} computed; without a cache {sums[at][1]}.")
        if isinstance(fed, int):
            assert "nothing is computed, the last 2 tokens forgotten" in said(page)
            assert numbers(page.locator("tr.chosen")) == [[name, "", "", str(held)]]
        else:
            assert numbers(page.locator("tr.chosen")) == [[name, str(len(fed)), str(held - len(fed)), str(held)]]
        page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.textContent") == "Back"
    assert said(page).startswith("Call 5 of 6"), "the focus went to Back, and so did the last Enter"

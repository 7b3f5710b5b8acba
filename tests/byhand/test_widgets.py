"""Interactive figures, the Python side: the same bytes twice, nothing that ends the script, errors with a remedy."""

import json
import re

import numpy as np
import pytest
import torch
from byhand.bpe import BytePairTokenizer, train_bpe
from byhand.decoding import beam_search
from byhand.decoding.speculative import speculative_rounds
from byhand.gpt import GPT, GPTConfig
from byhand.inference import kv_step, truncate_cache
from byhand.quantization import dequantize, quantize_affine, quantize_groups
from byhand.scaling import ScalingFit
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


def ruler(sizes: np.ndarray, losses: np.ndarray) -> tuple[float, float, float]:
    return 0.0, 1.0, 0.5


EVEN = np.full((2, 3, 4, 4), 0.25)


TABLE = 2 * torch.randn(97, 5, generator=torch.Generator().manual_seed(8), dtype=torch.float64)


def after(rows: torch.Tensor):
    """Log-probabilities that depend on every token and its place."""
    return lambda ids: rows[sum(token * (at + 1) ** 2 for at, token in enumerate(ids)) % len(rows)].log_softmax(-1)


def rows_of(table: torch.Tensor):
    """Probabilities behind each place, from the token there."""
    return lambda ids: table[ids].softmax(-1)


TARGET, DRAFT = rows_of(TABLE), rows_of(TABLE + TABLE.roll(1, 0) / 2)


def guesses(seed: int) -> Widget:
    rng = torch.Generator().manual_seed(seed)
    return speculative_steps(TARGET, DRAFT, torch.tensor([1, 2]), list("abcde"), 3, 11, rng)


PLANE = np.array([[0.0, 0.0], [4.0, 1.0], [1.0, 0.5], [4.0, 2.0], [0.5, 0.0]])


def state_in(html: str) -> dict:
    """What the script of a page will read."""
    return json.loads(re.search(r"^const state = (.*);$", html, re.MULTILINE)[1])


def figures() -> list[Widget]:
    return [
        attention_map(["a", "</script>", "c", "d"], EVEN),
        merge_steps(["<!--", "sea"], train_bpe("sea sea", 258)[1]),
        rank_slider(np.diag([3.0, 2.0, 1.0]), [0, 1, 3]),
        sampling(["<script>", "b", "c"], np.array([0.0, 1.0, -np.inf])),
        beam_tree(after(TABLE), list("abcde"), 3, eos=0, alpha=1.0),
        guesses(0),
        cluster_map(["a", "</script>", "c"], PLANE[:3], PLANE[:3], np.array([0, 1, 0]), [1]),
        cache_steps([("prefill", ["<script>", "b"]), ("verify", [" c", "d"]), ("cut", 3)], 2, 3, 4),
        quantization_grid(np.random.default_rng(4).normal(size=(3, 70)), 16, shown=32),
        loss_scaling(np.random.default_rng(5).lognormal(-18, 4, 300)),
        scaling_fit(
            np.geomspace(1e3, 1e6, 6), 1.5 + 20 / np.geomspace(1e3, 1e6, 6) ** 0.4, lambda n, loss: (1, 2, 0.1)
        ),
    ]


@pytest.mark.parametrize("number", range(len(figures())))
def test_a_figure_is_the_same_bytes_twice_and_its_state_survives_the_page(number):
    once, twice = figures()[number], figures()[number]
    assert once.html == twice.html
    assert state_in(once.html) == once.state
    bundle = once._repr_mimebundle_()
    assert bundle == {"text/html": once.html, "text/plain": once.words}
    assert bundle["text/plain"].endswith(".")


@pytest.mark.parametrize("number", range(len(figures())))
def test_no_token_ends_the_script_and_the_static_version_comes_before_it(number):
    html = figures()[number].html
    assert html.count("<script") == html.count("</script") == 1
    assert html.endswith("</script>")
    assert html.index("<table>") < html.index("<script")
    assert "http" not in html.replace("http://www.w3.org/2000/svg", ""), "that one is a name, not an address"
    assert "import" not in html.split("<script")[1], "a figure stands alone"


def test_a_figure_weighs_little():
    tokens = [f"word{n}" for n in range(13)]
    weights = np.random.default_rng(0).dirichlet(np.ones(13), (6, 12, 13))
    assert len(json.dumps(attention_map(tokens, weights).state)) < 50_000
    assert len(attention_map(tokens, weights).html) < 45_000


def test_two_states_have_two_names():
    a, b = merge_steps("sea", []), merge_steps("see", [])
    assert a.key != b.key
    assert a.key.startswith("merge-steps-")


def test_attention_is_shown_in_whole_percent_under_its_tokens():
    weights = np.random.default_rng(1).dirichlet(np.ones(4), (2, 3, 4))
    shown = attention_map([" a", "b", "c", "d"], weights, start=(2, 1))
    assert shown.state["tokens"][0] == "␣a"
    assert np.array_equal(shown.state["weights"], np.rint(100 * weights))
    cells = re.findall(r"<td>([^<]+)</td>", shown.static)
    assert [int(cell.replace("·", "0")) for cell in cells] == np.rint(100 * weights[1, 0]).astype(int).ravel().tolist()


def test_merges_end_where_the_tokenizer_ends_whatever_the_word():
    text = "a sailor went to sea sea sea to see what he could see see see " * 2
    vocab, merges = train_bpe(text, 320)
    tokenizer = BytePairTokenizer(vocab, merges)
    for word in ("sea", " see", "seasees", "eeee", "zz", "é", " could"):
        steps = merge_steps(word, merges).state["words"][0]["steps"]
        wanted = [vocab[token] for token in tokenizer.encode(word)]
        assert [len(token) for token in wanted] == [len(each) for each in _as_bytes(steps[-1]["tokens"])]
        assert len(steps[0]["tokens"]) == len(word.encode())


def _as_bytes(tokens):
    return [
        bytes.fromhex(token[1:-1]) if token.startswith("<") else token.replace("␣", " ").encode() for token in tokens
    ]


def test_the_pair_that_was_learned_first_is_merged_first_wherever_it_stands():
    steps = merge_steps("abc", [(b"b", b"c"), (b"a", b"b")]).state["words"][0]["steps"]
    assert steps[0]["possible"] == [[0, "a", "b", 2], [1, "b", "c", 1]]
    assert [step["tokens"] for step in steps] == [["a", "b", "c"], ["a", "bc"]]


def test_overlapping_pairs_are_merged_from_the_left():
    steps = merge_steps("aaa", [(b"a", b"a")]).state["words"][0]["steps"]
    assert [step["tokens"] for step in steps] == [["a", "a", "a"], ["aa", "a"]]
    assert steps[0]["possible"] == [[0, "a", "a", 1], [1, "a", "a", 1]]


def test_a_cut_matrix_is_its_best_approximation():
    update = np.random.default_rng(2).normal(size=(9, 7))
    state = rank_slider(update, [0, 3, 7], corner=4).state
    left, sizes, right = np.linalg.svd(update)
    assert state["shares"] == [0.0, round(100 * (sizes[:3] ** 2).sum() / (sizes**2).sum(), 1), 100.0]
    assert state["corners"][0] == np.zeros((4, 4)).tolist()
    assert state["corners"][2] == state["whole"]
    three = (left[:, :3] * sizes[:3]) @ right[:3]
    assert (
        np.abs(np.array(state["corners"][1]) - 100 * three[:4, :4] / np.abs(update[:4, :4]).max()).max() <= 0.5 + 1e-9
    )


def test_sampling_keeps_every_possible_token_from_the_likeliest_down():
    logits = np.array([0.5, -np.inf, 2.0, 0.5])
    figure = sampling(["a", "b", "c", "d"], logits, shown=2)
    assert figure.state == {"names": ["c", "a"], "logits": [0.0, -1.5, -1.5]}
    assert "80.7 %" not in figure.static
    assert f"{100 / (1 + 2 * np.exp(-1.5)):.1f} %" in figure.static


@pytest.mark.parametrize("alpha", [0.0, 0.7])
@pytest.mark.parametrize("eos", [0, None])
def test_the_tree_finds_what_beam_search_finds(eos, alpha):
    for shift in range(6):
        logp = after(TABLE.roll(shift, 0))
        for run in beam_tree(logp, list("abcde"), 4, eos, alpha, n_beams=[1, 2, 4]).state["runs"]:
            ids, score = beam_search(logp, run["beams"], 4, eos, alpha)
            assert "".join(run["nodes"][at]["token"] for at in run["best"]) == "".join("abcde"[token] for token in ids)
            assert run["score"] == pytest.approx(score, abs=1e-4)


def test_the_tree_keeps_as_many_as_there_are_beams_and_shows_what_was_cut():
    for run in beam_tree(after(TABLE), list("abcde"), 4, None, 0.0, n_beams=[1, 2, 4]).state["runs"]:
        for step in (2, 3):
            nodes = [node for node in run["nodes"] if node["step"] == step]
            kept = [node["sum"] for node in nodes if node["fate"] == "goes on"]
            cut = [node["sum"] for node in nodes if node["fate"] == "cut"]
            assert len(kept) == len(cut) == run["beams"]
            assert min(kept) >= max(cut)
            assert all(run["nodes"][node["parent"]]["fate"] == "goes on" for node in nodes)


def test_the_decisions_are_those_of_speculative_decoding():
    kinds = set()
    for seed in range(8):
        events = guesses(seed).state["events"]
        rng = torch.Generator().manual_seed(seed)
        rounds = list(speculative_rounds(TARGET, DRAFT, torch.tensor([1, 2]), 3, 11, rng))
        assert [event["token"] for event in events] == ["abcde"[token] for each in rounds for token in each.tokens]
        assert events[-1]["round"] == len(rounds)
        for event in events:
            kinds.add(event["kind"])
            if event["kind"] != "bonus":
                assert (event["coin"] * event["q"] < event["p"]) == (event["kind"] == "kept")
            if event["kind"] == "replaced":
                assert event["token"] in [name for name, share in event["rest"] if share > 0]
                assert event["guess"] not in [name for name, _ in event["rest"]]
    assert kinds == {"kept", "replaced", "bonus"}


def test_a_guess_that_is_nearly_impossible_still_has_a_chance_above_zero_over_zero():
    rare = torch.tensor([1e-7, 1.0], dtype=torch.float64)
    never = torch.tensor([1e-12, 1.0], dtype=torch.float64)
    draw = torch.multinomial
    first_guess = [torch.tensor([0])]  # the rare token; what comes then is torch's
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            torch, "multinomial", lambda *given, **named: first_guess.pop() if first_guess else draw(*given, **named)
        )
        rng = torch.Generator().manual_seed(0)
        figure = speculative_steps(
            lambda ids: never.expand(len(ids), 2),
            lambda ids: rare.expand(len(ids), 2),
            torch.tensor([1]),
            "ab",
            1,
            2,
            rng,
        )
    first = figure.state["events"][0]
    assert (first["guess"], first["kind"], first["token"]) == ("a", "replaced", "b")
    assert (first["p"], first["q"]) == (1e-12, 1e-7)
    assert "<td>&lt; 0.001</td>" in figure.static


def test_a_cluster_is_read_from_its_centre_outwards_with_what_was_chosen_in_it():
    vectors = np.array([[0.0, 0, 9], [5, 0, 0], [3, 0, 9], [6, 0, 0], [1.2, 0, 9]])
    texts, kinds = ["far", "x" * 300, "other end", "y", "middle"], ["bus", "cake", "bus", "cake", "tram"]
    figure = cluster_map(texts, vectors, PLANE, np.array([2, 0, 2, 0, 2]), [2, 2, 3], kinds)
    assert figure.state["clusters"] == [{"number": 1, "members": [1, 3]}, {"number": 3, "members": [4, 0, 2]}]
    assert figure.state["points"] == [[0, 0], [1000, 250], [250, 125], [1000, 500], [125, 0]], "one scale for both axes"
    assert figure.state["chosen"] == [2, 3]
    assert len(figure.state["texts"][1]) == 160
    assert figure.state["texts"][1].endswith("x…")
    assert "Cluster 3: 3 texts, chosen: “other end”." in figure.words
    assert "<td>2 bus</td>" in figure.static


def test_all_texts_at_one_point_are_a_map_too():
    same = np.zeros((2, 2))
    assert cluster_map(["a", "b"], same, same, np.array([0, 0]), []).state["points"] == [[0, 0], [0, 0]]


def test_the_cache_holds_the_bytes_that_a_models_cache_holds_after_every_call():
    gpt = GPT(GPTConfig.tiny(), torch.Generator().manual_seed(0))
    config, cache, calls, held = gpt.config, {}, [], []
    for what in ([3, 1, 4, 1], [5], [9, 2, 6], 6, [5, 3], 0, [5]):
        if isinstance(what, int):
            cache = truncate_cache(cache, what)
            calls.append(("cut", what))
        else:
            kv_step(torch.tensor(what), cache, gpt)
            calls.append(("feed", [str(token) for token in what]))
        held.append(sum(layer.nbytes for part in ("keys", "values") for layer in cache.get(part, [])))
    figure = cache_steps(calls, config.n_layers, config.n_heads, config.d_model // config.n_heads)
    after = [step["past"] + len(step["new"]) for step in figure.state["steps"]]
    assert [figure.state["token"] * length for length in after] == held
    assert [step["past"] for step in figure.state["steps"]] == [0, 4, 5, 6, 6, 0, 0]
    assert [step["lost"] for step in figure.state["steps"]][3] == ["2", "6"]
    assert figure.state["steps"][-1]["computed"] == 4 + 1 + 3 + 2 + 1
    assert figure.state["steps"][-1]["uncached"] == 4 + 5 + 8 + 8 + 1
    assert f"<td>{held[2]:,}</td>" in figure.static


def weights_with_an_outlier() -> np.ndarray:
    weight = np.random.default_rng(9).normal(0, 0.1, (5, 77))
    weight[3, 40] = 4.0
    weight[1] = 0.25  # a row without a range
    return weight


def test_errors_of_grids_are_those_of_the_library():
    weight = weights_with_an_outlier()
    tensor = torch.from_numpy(weight)
    state = quantization_grid(weight, group_size=16).state
    for at, bits in enumerate(state["bits"]):
        whole = dequantize(*quantize_affine(tensor.reshape(1, -1), bits)).reshape(5, 77)
        for grid, back in zip(
            state["grids"],
            [whole, dequantize(*quantize_affine(tensor, bits)), dequantize(*quantize_groups(tensor, bits, 16), 16)],
            strict=True,
        ):
            error = 100 * ((back - tensor).pow(2).mean() / tensor.pow(2).mean()).sqrt()
            assert grid["errors"][at] == pytest.approx(float(error), rel=0.006)
            for row, found in zip((3, None), grid["rows"], strict=False):
                if row is not None:
                    error = 100 * ((back - tensor)[row].pow(2).mean() / tensor[row].pow(2).mean()).sqrt()
                    assert found["errors"][at] == pytest.approx(float(error), rel=0.006)
        assert state["grids"][2]["takes"][at] == pytest.approx(bits + 32 * 5 / 77, abs=0.006), "five groups, one short"
        assert state["grids"][0]["takes"][at] == pytest.approx(bits + 32 / 385, abs=0.006)


def test_a_row_is_drawn_around_its_largest_weight_with_the_grids_that_lie_there():
    weight = weights_with_an_outlier()
    state = quantization_grid(weight, group_size=16, rows=(3, 0), shown=32).state
    row = state["rows"][0]
    assert row["name"] == "3 (largest weight)"
    assert state["rows"][1]["name"] == "0"
    assert row["values"] == np.rint(1000 * weight[3, 16:48] / 4).astype(int).tolist()
    spans = [grid["rows"][0]["spans"] for grid in state["grids"]]
    assert spans[0] == [[0, 32, round(250 * weight.min(), 2), 1000.0]]
    assert spans[1] == [[0, 32, round(250 * weight[3].min(), 2), 1000.0]]
    assert [[first, last] for first, last, _, _ in spans[2]] == [[0, 16], [16, 32]]
    assert spans[2][0][3] == round(250 * weight[3, 16:32].max(), 2)
    codes = np.rint(3 * (weight[3] - weight[3].min()) / np.ptp(weight[3]))
    assert state["grids"][1]["rows"][0]["used"][0] == len(np.unique(codes)) == 2, "the outlier, and all others"


def test_a_row_that_is_largest_at_its_end_is_drawn_as_wide_as_any():
    weight = weights_with_an_outlier()
    weight[3, 76] = 5.0
    shown = quantization_grid(weight, group_size=16, rows=(3,), shown=48).state["rows"][0]
    assert shown["values"] == np.rint(1000 * weight[3, 32:] / 5).astype(int).tolist()


def test_a_short_row_is_drawn_whole():
    state = quantization_grid(np.array([[0.0, 1.0, 2.0]]), group_size=2).state
    assert [len(row["values"]) for row in state["rows"]] == [3]
    assert state["grids"][2]["rows"][0]["spans"] == [[0, 2, 0.0, 500.0], [2, 3, 1000.0, 1000.0]]


def test_fp16_loses_what_numpys_fp16_loses():
    rng = np.random.default_rng(6)
    edges = np.array([2.0**-25, 2.0**-14 - 2.0**-25, 2.0**-14, 65519.99, 65520.0, 65504.0, 0.0, 0.0])
    gradient = np.concatenate(
        [edges, np.nextafter(edges, np.inf), rng.lognormal(-15, 6, 500), -rng.lognormal(3, 6, 50)]
    )
    state = loss_scaling(gradient, largest=20).state
    given = np.abs(gradient[gradient != 0])
    assert (state["total"], state["zeros"]) == (len(given), 2)
    for power, found in enumerate(state["scales"]):
        with np.errstate(over="ignore"):
            held = (given * 2.0**power).astype(np.float16)
        poor = (held > 0) & (held < np.finfo(np.float16).tiny)
        wanted = [(held == 0).sum(), poor.sum(), np.isinf(held).sum()]
        assert [round(share * len(given) / 100) for share in found] == wanted
    assert state["fits"] is None
    small = gradient[np.abs(gradient) < 1]
    fits = loss_scaling(small, 20).state["fits"]
    assert np.abs(small).max() * 2.0**fits < 65520 <= np.abs(small).max() * 2.0 ** (fits + 1)
    assert sum(state["shares"]) == pytest.approx(100, abs=1)
    small = loss_scaling(np.array([2.0**-30, 1.5 * 2.0**-30, 2.0**-28])).state
    assert (small["first"], small["shares"]) == (-30, [66.7, 0.0, 33.3])


def test_a_law_is_fitted_to_the_smallest_sizes_and_held_against_the_largest():
    law = ScalingFit(E=1.5, A=20.0, alpha=0.4)
    sizes = np.array([1e6, 1e3, 1e4, 1e4, 1e5, 1e3, 1e7])  # in no order, two sizes twice
    losses = law.predict(sizes)
    losses[0] *= 1.1
    asked = []

    def fit(n: np.ndarray, loss: np.ndarray) -> tuple[float, float, float]:
        asked.append((n.tolist(), loss.tolist()))
        n[:] = loss[:] = 0  # what a fit does to its arrays is its own matter
        return 1.5, 20.0, 0.4

    figure = scaling_fit(sizes, losses, fit, fewest=3)
    assert [n for n, _ in asked] == [
        [1e3, 1e3, 1e4, 1e4, 1e5],
        [1e3, 1e3, 1e4, 1e4, 1e5, 1e6],
        [1e3, 1e3, 1e4, 1e4, 1e5, 1e6, 1e7],
    ]
    assert asked[1][1] == pytest.approx([*law.predict([1e3, 1e3, 1e4, 1e4, 1e5]), 1.1 * float(law.predict([1e6])[0])])
    assert [fit["used"] for fit in figure.state["fits"]] == [3, 4, 5]
    assert figure.state["runs"][-1] == [1e7, round(float(law.predict([1e7])[0]), 4)]
    assert figure.words.endswith("Measured: 1.53.")
    assert sizes[0] == 1e6


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: attention_map(["a"], EVEN),
            r"1 tokens look at each other in \(layers, heads, 1, 1\), not \(2, 3, 4, 4\)",
        ),
        (lambda: attention_map(list("abcd"), 2 * EVEN), "pass what comes after the softmax"),
        (lambda: attention_map(list("abcd"), EVEN, start=(0, 1)), "a layer of 1 to 2 and a head of 1 to 3"),
        (lambda: merge_steps("", []), "at least one letter"),
        (lambda: merge_steps([], []), "one or more words"),
        (lambda: rank_slider(np.eye(3), [0, 4]), "from 0 to at most 3"),
        (lambda: rank_slider(np.eye(3), [2, 1]), "ranks grow"),
        (lambda: rank_slider(np.eye(3), [1, 2], {"right": [0.5]}), "'right' has 1 values for 2 ranks: measure at each"),
        (lambda: sampling(["a"], np.zeros(2)), "pass the name of every token, by id"),
        (lambda: sampling(["a"], np.array([-np.inf])), "0 tokens are possible: a figure holds 1 to 4096"),
        (lambda: beam_tree(after(TABLE), list("abcde"), 0), "needs beams and steps"),
        (lambda: speculative_steps(TARGET, DRAFT, torch.tensor([1]), list("abcde"), 0, 3, None), "gamma=0, max_new=3"),
        (lambda: rank_slider(np.zeros((3, 3)), [1]), "pass a tuned minus an untuned one"),
        (lambda: quantization_grid(np.zeros((2, 2))), "pass the matrix of a trained layer"),
        (lambda: quantization_grid(np.array([[1.0, np.nan]])), "must be finite"),
        (lambda: quantization_grid(np.eye(3), 0), "group_size is 0"),
        (lambda: quantization_grid(np.eye(3), rows=(3,)), r"rows=\(3,\) must name rows of 0 to 2"),
        (lambda: loss_scaling(np.zeros(3)), "compute it in float32"),
        (lambda: loss_scaling(np.array([1.0, np.inf])), "must be finite"),
        (lambda: loss_scaling(np.ones(3), -1), "largest is -1"),
        (lambda: scaling_fit(np.ones(3), np.ones(2), ruler), r"got shapes \(3,\) and \(2,\)"),
        (lambda: scaling_fit(np.array([1.0, 2.0]), np.array([1.0, 0.0]), ruler), "all above 0"),
        (lambda: scaling_fit(np.arange(1.0, 4), np.ones(3), ruler), "needs 4 sizes and a forecast one more.* have 3"),
        (lambda: scaling_fit(np.arange(1.0, 6), np.ones(5), lambda n, loss: (1, np.nan, 0)), "it should be E, A and"),
        (lambda: scaling_fit(np.arange(1.0, 6), np.ones(5), lambda n, loss: (1, 1)), "the fit of 4 sizes gave"),
        (lambda: cache_steps([], 1, 1, 1), "note each call of the model with the tokens"),
        (lambda: cache_steps([("prefill", [])], 1, 1, 1), "'prefill' feeds no token"),
        (lambda: cache_steps([("prefill", ["a"]), ("cut", 2)], 1, 1, 1), "keeps 2 tokens, but the cache holds 1"),
        (lambda: cache_steps([("prefill", ["a"])], 1, 0, 1), "'n_heads': 0"),
        (lambda: cluster_map(["a"], PLANE, PLANE, np.zeros(5, int), []), "one of each for every text.*'texts': 1"),
        (lambda: cluster_map([], PLANE[:0], PLANE[:0], np.zeros(0, int), []), "one text at least"),
        (lambda: cluster_map(["a"], PLANE[:1], PLANE[:1], np.array([0]), [1]), r"places 0 to 0, got \[1\]"),
    ],
)
def test_bad_input_is_refused_with_the_remedy(make, words):
    with pytest.raises(ValueError, match=words):
        make()

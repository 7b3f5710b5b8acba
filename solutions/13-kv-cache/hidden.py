"""The hidden checks of chapter 13: what a right answer must do, and what each wrong one is told.

Models are tiny, with drawn weights far from the initial ones, and are computed again here with numpy, in float64 and as
one pass over the whole text: whatever a cache does, its states are those of such a pass with some positions and some
pattern of who sees whom. So each known mistake is a pass of that kind, too. Tokens that go through a model are counted.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from grader.comparing import close, name_the_mistake
from grader.hidden import Case, HiddenCheck, Verdict, right, wrong

SIZES = {"vocab_size": 13, "max_seq": 48, "d_model": 12, "n_layers": 2, "n_heads": 3, "d_ff": 10}
EXACT = {"rtol": 1e-9, "atol": 1e-9}

# ------------------------------------------------------------------------------------- a GPT in numpy


def draw_model(rng: np.random.Generator, positions: str) -> dict[str, Any]:
    """Sizes and weights of a model."""
    d_model, d_ff = SIZES["d_model"], SIZES["d_ff"]
    shapes = {"token_embedding.weight": (SIZES["vocab_size"], d_model)}
    if positions == "learned":
        shapes["position_embedding.weight"] = (SIZES["max_seq"], d_model)
    for number in range(SIZES["n_layers"]):
        block = f"blocks.{number}"
        for norm in ("attention_norm", "feed_forward_norm"):
            shapes |= {f"{block}.{norm}.gain": (d_model,), f"{block}.{norm}.bias": (d_model,)}
        for name in ("query", "key", "value", "output"):
            shapes |= {f"{block}.attention.{name}.weight": (d_model, d_model)}
            shapes |= {f"{block}.attention.{name}.bias": (d_model,)}
        shapes |= {f"{block}.feed_forward.up.weight": (d_ff, d_model), f"{block}.feed_forward.up.bias": (d_ff,)}
        shapes |= {f"{block}.feed_forward.down.weight": (d_model, d_ff), f"{block}.feed_forward.down.bias": (d_model,)}
    shapes |= {"final_norm.gain": (d_model,), "final_norm.bias": (d_model,)}
    weights = {name: rng.normal(size=shape) * 0.6 for name, shape in shapes.items()}
    return {"sizes": {**SIZES, "positions": positions}, "weights": weights}


class Model:
    """The model in numpy: one pass over one row, with positions and a pattern of who sees whom as they are given."""

    def __init__(self, drawn: dict[str, Any]) -> None:
        self.weights, self.sizes = drawn["weights"], drawn["sizes"]

    def read(
        self, ids: Sequence[int], positions: Sequence[int] | None = None, seen: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Hidden states (seq, d_model), and all layers' keys and values, (layer, head, seq, head_dim) each."""
        seq, heads = len(ids), self.sizes["n_heads"]
        places = np.arange(seq) if positions is None else np.asarray(positions)
        seen = np.tri(seq, dtype=bool) if seen is None else seen
        rotary = self.sizes["positions"] == "rotary"
        x = self.weights["token_embedding.weight"][np.asarray(ids)]
        if not rotary:
            x = x + self.weights["position_embedding.weight"][places]
        keys, values = [], []
        for number in range(self.sizes["n_layers"]):
            block = f"blocks.{number}"
            y = self._norm(x, f"{block}.attention_norm")
            query, key, value = (
                self._linear(y, f"{block}.attention.{name}").reshape(seq, heads, -1).swapaxes(0, 1)
                for name in ("query", "key", "value")
            )
            if rotary:
                query, key = turned(query, places), turned(key, places)
            keys.append(key)
            values.append(value)
            scores = np.where(seen, query @ key.swapaxes(-1, -2) / math.sqrt(key.shape[-1]), -np.inf)
            highest = scores.max(axis=-1, keepdims=True)
            weights = np.exp(scores - np.where(np.isfinite(highest), highest, 0.0))
            gathered = weights / np.maximum(weights.sum(axis=-1, keepdims=True), 1e-300) @ value  # 0 for who sees none
            x = x + self._linear(gathered.swapaxes(0, 1).reshape(seq, -1), f"{block}.attention.output")
            y = self._linear(self._norm(x, f"{block}.feed_forward_norm"), f"{block}.feed_forward.up")
            y = 0.5 * y * (1 + np.tanh(math.sqrt(2 / math.pi) * (y + 0.044715 * y**3)))
            x = x + self._linear(y, f"{block}.feed_forward.down")
        return self._norm(x, "final_norm"), np.stack(keys), np.stack(values)

    def logits(self, *row: Any) -> np.ndarray:
        """The logits at each place of a row."""
        return np.asarray(self.read(*row)[0] @ self.weights["token_embedding.weight"].T)

    def _linear(self, x: np.ndarray, name: str) -> np.ndarray:
        return np.asarray(x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"])

    def _norm(self, x: np.ndarray, name: str) -> np.ndarray:
        centred = x - x.mean(-1, keepdims=True)
        unit = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
        return np.asarray(unit * self.weights[f"{name}.gain"] + self.weights[f"{name}.bias"])


def turned(heads: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Rotary positions: columns i and i + half turn as a pair."""
    half = heads.shape[-1] // 2
    angles = places[:, None] * 10000.0 ** (-2 * np.arange(half) / heads.shape[-1])
    first, second = heads[..., :half], heads[..., half:]
    cos, sin = (turn.astype(np.float32).astype(np.float64) for turn in (np.cos(angles), np.sin(angles)))  # as byhand
    return np.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)


def pattern(pieces: Sequence[int], kind: str) -> np.ndarray:
    """Who sees whom when a text is read in pieces and the mask is made as `kind` says."""
    seq = sum(pieces)
    seen, start = np.zeros((seq, seq), dtype=bool), 0
    order: list[int] = []  # which token each column of the cache holds
    for size in pieces:
        new = list(range(start, start + size))
        order = new + order if kind == "new first" else order + new
        for at, query in enumerate(new):
            columns = {
                "corner at the left": at + 1,
                "no mask": start + size,
                "no mask behind": start + size if start else at + 1,
                "new first": start + at + 1,
                "not itself": max(start + at, 1),
            }[kind]
            seen[query, order[:columns]] = True
        start += size
    return seen


# ---------------------------------------------------------------------------------------- 13.1 step


class KvStep(HiddenCheck):
    """13.1: learned and rotary positions, several rows, pieces of every size; rows with padding."""

    exercise = "kv-step"
    uses = ("kv_step",)
    criteria = {"any cutting": 2.0, "what is kept": 1.0, "positions and mask": 1.0}
    forbids = {
        ".hidden": "gpt.hidden reads a whole text; the step computes new tokens only, with `run`",
        ".transform": "gpt.transform reads a whole text; the step computes new tokens only, with `run`",
        "mock.patch": "the stand-in is not an answer: hand your own attention to `run`",
    }

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Batch and pieces, all sizes different; then what is left in the cache; then padding on the left."""
        for positions, batch, pieces in (
            ("learned", 2, [1] * 7),
            ("rotary", 1, [4, 1, 3]),
            ("learned", 1, [3, 7]),
            ("rotary", 2, [2, 1, 1, 5]),
            ("learned", 3, [6]),
        ):
            yield Case("any cutting", self._draw(rng, positions, batch, pieces))
        for positions, batch, pieces in (("rotary", 2, [3, 1, 4]), ("learned", 1, [1, 5])):
            yield Case("what is kept", self._draw(rng, positions, batch, pieces))
        for positions, pieces in (("learned", [5, 3, 1]), ("rotary", [4, 1, 2]), ("rotary", [7])):
            drawn = self._draw(rng, positions, 3, pieces)
            yield Case("positions and mask", {**drawn, "padding": [2, 0, 3]})
        yield Case("positions and mask", {**self._draw(rng, "learned", 2, [3, 2]), "plain": True})

    @staticmethod
    def _draw(rng: np.random.Generator, positions: str, batch: int, pieces: list[int]) -> dict[str, Any]:
        ids = rng.integers(SIZES["vocab_size"], size=(batch, sum(pieces)))
        return {"model": draw_model(rng, positions), "ids": ids, "pieces": pieces}

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """All pieces' states; what the cache holds; how many tokens were computed; whether old tensors changed."""
        import torch
        from byhand.gpt import GPT, GPTConfig

        gpt = GPT(GPTConfig(**inputs["model"]["sizes"])).double()
        gpt.load_weights({name: torch.tensor(array) for name, array in inputs["model"]["weights"].items()})
        gpt.eval().requires_grad_(False)
        fed = []
        gpt.token_embedding.register_forward_hook(lambda layer, given, out: fed.append(given[0].numel()))
        ids, cache, states, held, old_intact, start = torch.tensor(inputs["ids"]), {}, [], [], True, 0
        real = torch.ones(ids.shape, dtype=torch.bool)
        for row, missing in enumerate(inputs.get("padding", [])):
            real[row, :missing] = False
        places = (real.long().cumsum(1) - 1).clamp(min=0)
        for size in inputs["pieces"]:
            old = [layer for name in ("keys", "values") for layer in cache.get(name, [])]
            before = [layer.clone() for layer in old]
            settings = {}
            if "padding" in inputs:
                settings = {
                    "positions": places[:, start : start + size],
                    "attention_mask": real[:, : start + size],
                }
            if "plain" in inputs:
                settings = {"positions": torch.arange(start, start + size)}
            states.append(student.kv_step(ids[:, start : start + size], cache, gpt, **settings))
            old_intact = old_intact and all(bool(torch.equal(a, b)) for a, b in zip(old, before, strict=True))
            if start == 0:
                cache["note"] = "left by somebody else"
            start += size
            held.append(cache["keys"][0].shape[2])
        return {
            "states": torch.cat(states, dim=1),
            "keys": torch.stack(list(cache["keys"])),
            "values": torch.stack(list(cache["values"])),
            "held": held,
            "fed": sum(fed),
            "old": old_intact,
            "note": cache.get("note") == "left by somebody else",
            "intact": bool(torch.equal(ids, torch.tensor(inputs["ids"]))),
        }

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Inputs, states of all pieces, then the cache."""
        ids, pieces = case.inputs["ids"], case.inputs["pieces"]
        kind = case.inputs["model"]["sizes"]["positions"]
        given = f"{len(ids)} rows, steps of {', '.join(map(str, pieces))}, {kind} positions"
        if not answer["intact"]:
            return wrong(f"input_ids were changed by the call; {given}")
        model, padding = Model(case.inputs["model"]), case.inputs.get("padding", [0] * len(ids))
        if padding != [0] * len(ids):
            return self._padded(model, case, padding, answer, given)
        rows = [model.read(row) for row in ids]
        want = np.stack([hidden for hidden, _, _ in rows])
        if answer["states"].shape != want.shape:
            return wrong(f"the states have shape {answer['states'].shape} in all, not {want.shape}; {given}")
        if not close(answer["states"], want, **EXACT):
            return self._name(model, ids, pieces, answer, given)
        if answer["fed"] > ids.size:
            return wrong(
                f"{answer['fed']} tokens went through the model for a text of {ids.size}: compute the new ones only; "
                f"{given}"
            )
        if case.criterion == "what is kept":
            return self._kept(rows, answer, given)
        return right()

    @staticmethod
    def _name(model: Model, ids: np.ndarray, pieces: Sequence[int], answer: Any, given: str) -> Verdict:
        def of(positions: Sequence[int] | None, seen: np.ndarray | None) -> np.ndarray:
            return np.stack([model.read(row, positions, seen)[0] for row in ids])

        restarted = [place for size in pieces for place in range(size)]
        ends = np.cumsum(pieces).tolist()
        if answer["held"] != ends:
            return wrong(
                f"after steps that end at {ends} the cache holds {answer['held']} tokens: new ones are appended to "
                f"all that are there; {given}"
            )
        counted = [end - 1 for end, size in zip(ends, pieces, strict=True) for _ in range(size)]
        suspects = [
            (of(restarted, None), f"every step begins at position 0; positions count on from what is held; {given}"),
            (of(None, pattern(pieces, "corner at the left")), f"the mask's corner is at the left: a new token "
             f"sees the first ones only; shift it by what is held; {given}"),
            (of(None, pattern(pieces, "no mask")), f"new tokens of one step see each other's future: a step of several "
             f"needs a mask; {given}"),
            (
                of(None, pattern(pieces, "no mask behind")),
                f"new tokens of one step see each other's future: a step of several needs a mask behind a past, too; "
                f"{given}",
            ),
            (of(None, pattern(pieces, "new first")), f"new keys stand before the old ones, and the mask hides the "
             f"wrong ones: append behind; {given}"),
            (of(None, pattern(pieces, "not itself")), f"a token may look at itself; here it does not; {given}"),
            (of(counted, None), f"all tokens of a step got the same position; {given}"),
            (of(list(range(1, ids.shape[1] + 1)), None), f"positions begin at 1, not at 0; {given}"),
        ]  # fmt: skip
        return name_the_mistake(
            answer["states"], suspects, f"the states are not those of one pass over the whole text; {given}", **EXACT
        )

    @staticmethod
    def _kept(rows: list[Any], answer: Any, given: str) -> Verdict:
        if not answer["old"]:
            return wrong(f"a tensor that was in the cache before was written into: join into a new one; {given}")
        if not answer["note"]:
            return wrong(f"an entry of the cache that is not yours was lost; {given}")
        for place, name in enumerate(("keys", "values"), start=1):
            want = np.stack([row[place] for row in rows], axis=1)  # (layer, row, head, seq, head_dim)
            got = answer[name]
            if got.shape != want.shape:
                return wrong(
                    f"the {name} of a layer have shape {got.shape[1:]}, not (batch, n_heads, held, head_dim); {given}"
                )
            if not close(got, want, **EXACT):
                return wrong(
                    f"the {name} in the cache are not those of the text, in its order and turned by their positions; "
                    f"{given}"
                )
        return right()

    @staticmethod
    def _padded(model: Model, case: Case, padding: Sequence[int], answer: Any, given: str) -> Verdict:
        ids, pieces = case.inputs["ids"], case.inputs["pieces"]
        given += f", padding of {', '.join(map(str, padding))}"
        states = answer["states"]
        if states.shape != (*ids.shape, SIZES["d_model"]):
            return wrong(f"the states have shape {states.shape} in all; {given}")
        if np.isnan(states).any():
            return wrong(f"nan comes out: a query that may look at nothing needs care in the softmax; {given}")

        def real(rows: Iterable[np.ndarray]) -> np.ndarray:
            return np.concatenate([row[missing:] for row, missing in zip(rows, padding, strict=True)])

        def of(counts: bool, looked_at: bool, since: int = 0) -> np.ndarray:
            rows = zip(ids, padding, strict=True)
            return real(model.read(*padded(row, missing, counts, looked_at, since))[0] for row, missing in rows)

        got = real(states)
        if close(got, of(False, False), **EXACT):
            return right()
        suspects = [
            (of(False, True), f"padding is looked at: attention_mask has no effect on the states; {given}"),
            (of(True, False), f"padding counts as a position: `positions` has no effect; {given}"),
            (of(True, True), f"neither `positions` nor attention_mask has an effect; {given}"),
            (of(False, True, pieces[0]), f"padding is looked at by the tokens of later steps; {given}"),
        ]
        return name_the_mistake(got, suspects, f"a row with padding is not what it is alone; {given}", **EXACT)


# ------------------------------------------------------------------------------ 13.2 bytes and a loop


class Generating(HiddenCheck):
    """13.2: the bytes exactly; a picker that takes the second best; tokens counted as they enter the model."""

    exercise = "generate-cached"
    uses = ("kv_bytes", "generate_cached")
    criteria = {"bytes": 1.0, "same tokens": 1.0, "each token once": 1.0}
    forbids = dict.fromkeys(
        ("decoding.stream", "decoding.generate", "streamed", "measured_bytes"),
        "the loop and the formula are the exercise: write them with `step`",
    )

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Six different sizes; then rows and lengths that differ, and nothing to write."""
        for _ in range(3):
            yield Case("bytes", {"sizes": [*(rng.permutation(40)[:5] + 5).tolist(), int(rng.choice([4, 8]))]})
        yield Case("bytes", {"sizes": [126, 8, 128, 131072, 64, 2]})
        for criterion in ("same tokens", "each token once"):
            for batch, seq, max_new in ((2, 3, 5), (1, 1, 6), (3, 6, 1)):
                yield Case(criterion, {**self._draw(rng, batch, seq, max_new), "rank": 1})
        yield Case("same tokens", {**self._draw(rng, 2, 4, 3), "rank": 2})
        yield Case("same tokens", self._draw(rng, 3, 5, 4))
        yield Case("each token once", self._draw(rng, 2, 4, 0))

    @staticmethod
    def _draw(rng: np.random.Generator, batch: int, seq: int, max_new: int) -> dict[str, Any]:
        prefix = rng.integers(SIZES["vocab_size"], size=(batch, seq))
        return {"model": draw_model(rng, "learned"), "prefix": prefix, "max_new": max_new}

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The number; or the ids, what `pick` was shown, and the tokens that entered the model."""
        if "sizes" in inputs:
            n_layers, n_heads, head_dim, seq, batch, each = inputs["sizes"]
            return student.kv_bytes(
                n_layers=n_layers, n_heads=n_heads, head_dim=head_dim, seq=seq, batch=batch, bytes_per_number=each
            )
        import torch
        from byhand.gpt import GPT, GPTConfig

        gpt = GPT(GPTConfig(**inputs["model"]["sizes"])).double()
        gpt.load_weights({name: torch.tensor(array) for name, array in inputs["model"]["weights"].items()})
        gpt.eval().requires_grad_(False)
        fed, shown = [], []
        gpt.token_embedding.register_forward_hook(lambda layer, given, out: fed.append(given[0].numel()))

        def ranked(logits):
            shown.append(logits.clone())
            return logits.argsort(dim=-1)[:, -inputs["rank"]]

        prefix = torch.tensor(inputs["prefix"])
        settings = {"pick": ranked} if "rank" in inputs else {}
        ids = student.generate_cached(gpt, prefix, inputs["max_new"], **settings)
        intact = bool(torch.equal(prefix, torch.tensor(inputs["prefix"])))
        return {"ids": ids, "fed": sum(fed), "shown": shown, "intact": intact}

    def judge(self, case: Case, answer: Any) -> Verdict:
        """The bytes; or the tokens, then their count."""
        if case.criterion == "bytes":
            return self._bytes(case.inputs["sizes"], answer)
        prefix, max_new = case.inputs["prefix"], case.inputs["max_new"]
        (batch, seq), model = prefix.shape, Model(case.inputs["model"])
        given = f"prefix {prefix.shape}, max_new={max_new}"
        if not answer["intact"]:
            return wrong(f"the prefix was changed by the call; {given}")
        most = batch * (seq + max_new - 1) if max_new else 0
        if case.criterion == "each token once":
            return self._count(answer["fed"], most, batch, seq, max_new, given)
        rank = case.inputs.get("rank", 1)
        want = self._written(model, prefix, max_new, rank)
        got = answer["ids"]
        if got.shape != want.shape:
            return wrong(f"the ids have shape {got.shape}, not {want.shape}; {given}")
        if (got == want).all():
            return self._shown(model, want, answer, most, given) if "rank" in case.inputs else right()
        if (got[:, :seq] != prefix).any():
            return wrong(f"the result does not begin with the prefix; {given}")
        if rank == 2 and (got == self._written(model, prefix, max_new, 1)).all():
            return wrong(f"`pick` has no effect: the likeliest token was taken; {given}")
        if answer["fed"] > most:
            return wrong(
                f"other tokens than a pass over the whole text gives, and {answer['fed']} went through the model "
                f"instead of {most}: the cache holds some twice; {given}"
            )
        return wrong(f"these are not the tokens that a pass over the whole text gives; {given}")

    @staticmethod
    def _shown(model: Model, ids: np.ndarray, answer: Any, most: int, given: str) -> Verdict:
        """What `pick` was shown: the logits behind the last token of each row, once for each new place."""
        places = [logits.shape for logits in answer["shown"]]
        start = ids.shape[1] - len(places)
        if places != [(len(ids), SIZES["vocab_size"])] * len(places):
            return wrong(f"`pick` was shown logits of shapes {places}, not of (batch, vocab); {given}")
        for at, logits in enumerate(answer["shown"], start=start):
            if not close(logits, np.stack([model.logits(row[:at])[-1] for row in ids]), **EXACT):
                if answer["fed"] > most:
                    return wrong(
                        f"`pick` was shown other logits than a pass over the whole text gives, and {answer['fed']} "
                        f"tokens went through the model instead of {most}: the cache holds some twice; {given}"
                    )
                return wrong(
                    "`pick` was not shown the logits behind the last token that a pass over the whole text gives; "
                    f"{given}"
                )
        return right()

    @staticmethod
    def _written(model: Model, prefix: np.ndarray, max_new: int, rank: int) -> np.ndarray:
        rows = [row.tolist() for row in prefix]
        for _ in range(max_new):
            for row in rows:
                row.append(int(model.logits(row)[-1].argsort()[-rank]))
        return np.array(rows)

    @staticmethod
    def _count(fed: int, most: int, batch: int, seq: int, max_new: int, given: str) -> Verdict:
        if fed == most:
            return right()
        again = batch * sum(range(seq, seq + max_new))
        if fed == again and again != most:
            return wrong(f"the whole text went through the model for every token: {fed} in all; {given}")
        if fed > most:
            return wrong(f"{fed} tokens went through the model, {most} are enough: something is read twice; {given}")
        return wrong(f"only {fed} tokens went through the model, of {most} that must be read; {given}")

    @staticmethod
    def _bytes(sizes: Sequence[int], answer: Any) -> Verdict:
        names = ("n_layers", "n_heads", "head_dim", "seq", "batch", "bytes_per_number")
        given = ", ".join(f"{name}={size}" for name, size in zip(names, sizes, strict=True))
        if isinstance(answer, bool) or not isinstance(answer, int):
            return wrong(f"bytes are a whole number, an int; this is {type(answer).__name__}; {given}")
        want = math.prod(sizes) * 2
        if answer == want:
            return right()
        if answer * 2 == want:
            return wrong(f"keys alone: values take as much again; {given}")
        if answer * 2 == want * 3:
            return wrong(f"queries are not kept: two vectors a token, not three; {given}")
        for name, size in zip(names, sizes, strict=True):
            if answer * size == want:
                return wrong(f"{name} is not in the product; {given}")
        if answer == 8 * want:
            return wrong(f"these are bits; {given}")
        return wrong(f"this is not 2 times the product of the six sizes; {given}")


# --------------------------------------------------------------------------------------- 13.3 reorder


def draw_cache(rng: np.random.Generator, batch: int, heads: int, held: int, mask: bool) -> dict[str, Any]:
    """Two layers, keys of width 5 and values of width 6."""
    cache: dict[str, Any] = {
        name: [rng.normal(size=(batch, heads, held, width)) for _ in range(2)]
        for name, width in (("keys", 5), ("values", 6))
    }
    if mask:
        cache["attention_mask"] = np.arange(held)[None] >= rng.integers(0, held, size=(batch, 1))
        cache["attention_mask"][0, 0] ^= True  # so that rows differ
    return cache


def each_tensor(
    cache: dict[str, Any], found: dict[str, Any], given: str, decide: Callable[[str, np.ndarray, np.ndarray], Verdict]
) -> Verdict:
    """What `decide` says of an entry's name and its tensors, old and new; the first refusal ends it."""
    for name, entry in cache.items():
        if name not in found:
            return wrong(f"the result has no entry {name!r}; {given}")
        old, new = (entry, found[name]) if isinstance(entry, list) else ([entry], [found[name]])
        if len(new) != len(old):
            return wrong(f"{name} has {len(new)} layers in place of {len(old)}; {given}")
        for pair in zip(old, new, strict=True):
            verdict = decide(name, *map(np.asarray, pair))
            if not verdict.passed:
                return verdict
    return right()


class Reorder(HiddenCheck):
    """13.3: swaps, repeats, one row that becomes many, fewer rows; nothing copied where nothing moves."""

    exercise = "reorder-cache"
    uses = ("reorder_cache",)
    criteria = {"rows": 1.5, "the given cache": 1.0, "identity": 0.5}
    forbids = dict.fromkeys(("F.one_hot", "nn.functional.one_hot", "by_product"), "the stand-in is not an answer")

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """As many heads as rows, or more; as many tokens, too: an exchanged axis must not raise."""
        moves = [(3, [1, 0, 2]), (3, [2, 0, 0]), (1, [0, 0, 0, 0]), (4, [3, 1]), (3, [0, 1]), (2, [1, 0, 1, 1, 0])]
        for number, (batch, rows) in enumerate(moves):
            yield Case("rows", {"cache": draw_cache(rng, batch, 4, 7, number % 2 == 0), "rows": rows})
        for batch, rows in ((3, [2, 1, 0]), (2, [1, 1])):
            yield Case("the given cache", {"cache": draw_cache(rng, batch, 5, 6, True), "rows": rows})
        for batch in (1, 3):
            yield Case("identity", {"cache": draw_cache(rng, batch, 4, 5, True), "rows": list(range(batch))})

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The new cache; whether the old one and its tensors are as they were; which tensors are the same ones."""
        import torch

        def made():
            return {
                name: [torch.tensor(layer) for layer in entry] if isinstance(entry, list) else torch.tensor(entry)
                for name, entry in inputs["cache"].items()
            }

        def tensors(cache):
            return [*cache["keys"], *cache["values"], *([cache["attention_mask"]] if "attention_mask" in cache else [])]

        cache, rows = made(), torch.tensor(inputs["rows"])
        lists, old = dict(cache), tensors(cache)
        moved = student.reorder_cache(cache, rows)
        same_entries = all(cache.get(name) is entry for name, entry in lists.items()) and len(cache) == len(lists)
        intact = all(bool(torch.equal(a, b)) for a, b in zip(old, tensors(made()), strict=True))
        listed = all(a is b for a, b in zip(old, tensors(cache), strict=True))
        missing = [name for name in lists if moved is None or name not in moved]
        if missing:
            return {"missing": missing}
        new = tensors(moved)
        shared = [
            a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr() for a, b in zip(new, old, strict=True)
        ]
        return {
            "missing": [],
            "cache": {name: list(moved[name]) if name != "attention_mask" else moved[name] for name in lists},
            "intact": same_entries and intact and listed,
            "rows": bool(torch.equal(rows, torch.tensor(inputs["rows"]))),
            "shared": shared,
        }

    def judge(self, case: Case, answer: Any) -> Verdict:
        """The given cache; then every tensor against the rows of each mistake."""
        cache, rows = case.inputs["cache"], case.inputs["rows"]
        given = f"beam_idx {rows} on {len(cache['keys'][0])} rows"
        if answer["missing"]:
            return wrong(f"the result has no entry {answer['missing'][0]!r}; {given}")
        if not answer["rows"]:
            return wrong(f"beam_idx was changed by the call; {given}")
        verdict = each_tensor(cache, answer["cache"], given, lambda *pair: self._rows(*pair, rows, given))
        if not verdict.passed:
            return verdict
        if not answer["intact"]:
            return wrong(f"the given cache was changed: beams may still need it; {given}")
        if case.criterion == "identity" and not all(answer["shared"]):
            return wrong(f"every row stays in its place, and yet tensors were copied; {given}")
        return right()

    @staticmethod
    def _rows(name: str, old: np.ndarray, new: np.ndarray, rows: list[int], given: str) -> Verdict:
        want = old[rows]
        if close(new, want):
            return right()
        in_place = old.copy()
        for row, source in enumerate(rows[: len(old)]):
            in_place[row] = in_place[source]
        suspects: list[tuple[Any, str]] = []
        if rows != list(range(len(old))):
            suspects += [
                (old, f"the {name} did not move with the beams; {given}"),
                (in_place, f"rows of the {name} were overwritten before they were read; {given}"),
            ]
        suspects += [(old[np.argsort(rows)], f"row i went to beam_idx[i] instead of coming from it; {given}")]
        for axis, meant in ((1, "heads"), (2, "tokens")):
            if old.ndim > axis and max(rows) < old.shape[axis]:
                suspects.append((np.take(old, rows, axis=axis), f"beam_idx picked {meant} of the {name}; {given}"))
        if new.shape != want.shape:
            otherwise = f"the {name} have shape {new.shape}, not {want.shape}; {given}"
        else:
            otherwise = f"row i of the {name} is not row beam_idx[i] of those that were given; {given}"
        return name_the_mistake(new, suspects, otherwise)


# -------------------------------------------------------------------------------------- 13.4 truncate


class Truncate(HiddenCheck):
    """13.4: every length from nothing to all; the mask; what is refused."""

    exercise = "truncate-cache"
    uses = ("truncate_cache",)
    criteria = {"keys and values": 1.5, "mask": 0.5, "ends": 1.0}
    forbids = dict.fromkeys((".unbind", "torch.unbind", "rebuilt"), "the stand-in is not an answer: a slice is enough")

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """More tokens than the heads are wide, and fewer; all kept, none kept, none there."""
        for batch, heads, held, length in ((2, 6, 9, 4), (3, 2, 4, 3), (1, 7, 8, 1), (2, 4, 5, 5)):
            yield Case("keys and values", {"cache": draw_cache(rng, batch, heads, held, False), "length": length})
        for held, length in ((6, 4), (9, 2)):
            yield Case("mask", {"cache": draw_cache(rng, 3, 2, held, True), "length": length})
        yield Case("ends", {"cache": draw_cache(rng, 2, 3, 4, True), "length": 0})
        yield Case("ends", {"cache": draw_cache(rng, 2, 3, 4, True), "length": 4})
        yield Case("ends", {"cache": {}, "length": 0})
        for length in (-1, 5, 9):
            yield Case("ends", {"cache": draw_cache(rng, 2, 3, 4, False), "length": length, "refuse": True})
        yield Case("ends", {"cache": {}, "length": 1, "refuse": True})

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The new cache, or that it was refused; whether the old one is as it was."""
        import torch

        def made():
            return {
                name: [torch.tensor(layer) for layer in entry] if isinstance(entry, list) else torch.tensor(entry)
                for name, entry in inputs["cache"].items()
            }

        cache = made()
        try:
            cut = student.truncate_cache(cache, inputs["length"])
        except ValueError:
            return {"refused": True}
        fresh, intact = made(), set(cache) == set(inputs["cache"])
        for name in fresh if intact else ():
            now, then = ([cache[name]], [fresh[name]]) if name == "attention_mask" else (cache[name], fresh[name])
            intact = (
                intact
                and len(now) == len(then)
                and all(bool(torch.equal(*pair)) for pair in zip(now, then, strict=True))
            )
        entries = {name: list(cut[name]) if name != "attention_mask" else cut[name] for name in cut}
        return {"refused": False, "cache": entries, "intact": intact}

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Refusals, then entry by entry."""
        cache, length = case.inputs["cache"], case.inputs["length"]
        held = cache["keys"][0].shape[2] if cache else 0
        given = f"length {length} of {held} tokens"
        if "refuse" in case.inputs:
            return right() if answer["refused"] else wrong(f"this must raise a ValueError; {given}")
        if answer["refused"]:
            return wrong(f"this is possible, and yet it was refused; {given}")
        if not answer["intact"]:
            return wrong(f"the given cache was changed; {given}")
        if length == 0:
            return right() if answer["cache"] == {} else wrong(f"without a token the cache is {{}}; {given}")
        return each_tensor(cache, answer["cache"], given, lambda *pair: self._first(*pair, length, given))

    @staticmethod
    def _first(name: str, old: np.ndarray, new: np.ndarray, length: int, given: str) -> Verdict:
        axis = 2 if old.ndim == 4 else 1
        kept = np.arange(old.shape[axis]) < length
        want = np.compress(kept, old, axis=axis)
        if close(new, want):
            return right()
        blank = old * kept[:, None] if axis == 2 else old * kept
        suspects: list[tuple[Any, str]] = []
        if length < old.shape[axis]:
            what = "the mask still has the rejected tokens" if axis == 1 else f"the {name} still hold rejected tokens"
            suspects = [
                (old, f"{what}; {given}"),
                (blank, f"the {name} of rejected tokens are 0 but still there: later tokens look at them; {given}"),
                (
                    np.compress(kept[::-1], old, axis=axis),
                    f"the last tokens of the {name} were kept; the first ones stay; {given}",
                ),
                (np.compress(~kept, old, axis=axis), f"what should go stayed, in the {name}; {given}"),
                (
                    np.compress(np.arange(len(kept)) < length - 1, old, axis=axis),
                    f"one token too few is kept of the {name}; {given}",
                ),
                (
                    np.compress(np.arange(len(kept)) <= length, old, axis=axis),
                    f"one token too many is kept of the {name}; {given}",
                ),
            ]
        for other, meant in ((0, "rows"), (1, "heads"), (3, "columns of a head")):
            if other < old.ndim and other != axis:
                part = np.take(old, range(min(length, old.shape[other])), axis=other)
                suspects.append((part, f"the cut went through the {meant} of the {name}; {given}"))
        if new.shape != want.shape:
            otherwise = f"the {name} have shape {new.shape}, not {want.shape}; {given}"
        else:
            otherwise = f"these are not the first {length} tokens of the {name}; {given}"
        return name_the_mistake(new, suspects, otherwise)


# ------------------------------------------------------------------------------------------ 13.5 cost


class Cost(HiddenCheck):
    """13.5: each product's multiply-adds are added up from its three sizes."""

    exercise = "attention-cost"
    uses = ("attention_cost",)
    criteria = {"with a cache": 1.0, "without one": 1.0, "bytes": 1.0}
    forbids = dict.fromkeys(
        ("FlopCounterMode", "counted_cost", "torch.utils.flop_counter.FlopCounterMode"),
        "the stand-in counts with it: compute the number from the sizes",
    )

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Lengths below and above the width; one token; GPT-3's sizes."""
        for criterion, cached in (("with a cache", True), ("without one", False)):
            for low, high in ((2, 9), (60, 90)):
                sizes = [int(rng.integers(low, high)), int(rng.integers(10, 50)), int(rng.integers(2, 9))]
                yield Case(criterion, {"sizes": sizes, "cached": cached})
            yield Case(criterion, {"sizes": [1, 6, 3], "cached": cached})
            yield Case(criterion, {"sizes": [2048, 12288, 96], "cached": cached})
        for each in (1, 2, None):
            sizes = [int(rng.integers(5, 70)), int(rng.integers(10, 50)), int(rng.integers(2, 9))]
            for cached in (True, False):
                yield Case("bytes", {"sizes": sizes, "cached": cached, **({"each": each} if each else {})})

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The dictionary as it comes."""
        settings = {"bytes_per_number": inputs["each"]} if "each" in inputs else {}
        seq, d_model, n_layers = inputs["sizes"]
        return dict(
            student.attention_cost(seq=seq, d_model=d_model, n_layers=n_layers, cached=inputs["cached"], **settings)
        )

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Whole numbers; then the one that the criterion asks for."""
        seq, d_model, n_layers = case.inputs["sizes"]
        cached, each = case.inputs["cached"], case.inputs.get("each", 4)
        given = f"seq={seq}, d_model={d_model}, n_layers={n_layers}, cached={cached}, {each} bytes a number"
        if set(answer) != {"flops", "bytes"}:
            return wrong(f"the dictionary has the keys {sorted(answer)}; it needs flops and bytes; {given}")
        for name, value in answer.items():
            if isinstance(value, bool) or not isinstance(value, int):
                return wrong(f"{name} is a whole number, an int; this is {type(value).__name__}; {given}")
        if case.criterion == "bytes":
            return self._bytes(answer["bytes"], seq, d_model, n_layers, each, cached, given)
        return self._flops(answer["flops"], seq, d_model, n_layers, cached, given)

    @staticmethod
    def _bytes(got: int, seq: int, d_model: int, n_layers: int, each: int, cached: bool, given: str) -> Verdict:
        held = sum(seq * d_model * each for _ in range(n_layers) for _ in ("key", "value"))
        if not cached:
            return right() if got == 0 else wrong(f"without a cache nothing is held and read: 0 bytes; {given}")
        if got == held:
            return right()
        for value, words in (
            (held // 2, "keys alone: values are read, too"),
            (held // seq, "only the new token's keys and values; it reads those of all tokens"),
            (held - held // seq, "the new token's own key and value are in the cache, too"),
            (held // n_layers, "one layer only; every layer has keys and values"),
            (held // each, "these are numbers, not bytes"),
            (held // each * 4, "bytes_per_number has no effect"),
            (held // 2 * 3, "queries are not in the cache"),
        ):
            if got == value and value != held:
                return wrong(f"{words}; {given}")
        return wrong(f"these are not the bytes of keys and values of all tokens in all layers; {given}")

    @staticmethod
    def _flops(got: int, seq: int, d_model: int, n_layers: int, cached: bool, given: str) -> Verdict:
        new = 1 if cached else seq
        projections = sum(2 * new * d_model * d_model for _ in ("query", "key", "value", "output"))
        products = 2 * new * d_model * seq + 2 * new * seq * d_model
        want = n_layers * (projections + products)
        if got == want:
            return right()
        triangle = n_layers * (projections + 2 * d_model * seq * (seq + 1))
        for value, words in (
            (n_layers * products, "the projections are missing"),
            (n_layers * projections, "the products of queries, keys and values are missing"),
            (want // 2, "a multiply-add is two operations"),
            (want // n_layers, "one layer only"),
            (n_layers * (projections // 4 * 3 + products), "attention has a fourth projection, the output"),
            (n_layers * (projections + products // 2), "there are two products: with the keys, and with the values"),
            *(
                (
                    (n_layers * (projections + products * seq), "the products are those of all queries, though the "
                     "cache leaves only the last one to compute"),
                    (n_layers * (projections * seq + products), "all tokens are projected, though the cache has their "
                     "keys and values"),
                    (want * seq, "with a cache only the last token is computed, not all"),
                )
                if cached
                else (
                    (want // seq, "without a cache all tokens are computed again, not only the last"),
                    (n_layers * (projections // seq + products), "without a cache all tokens are projected again"),
                    (n_layers * (projections + products // seq), "without a cache every query meets every key"),
                    (triangle, "the mask saves nothing here: every query meets every key"),
                )
            ),
        ):  # fmt: skip
            if got == value and value != want:
                return wrong(f"{words}; {given}")
        return wrong(f"this is not 2 for each multiply-add of four projections and two products; {given}")


# ----------------------------------------------------------------------------------- 13.6 ragged batch


class Ragged(HiddenCheck):
    """13.6: each row against a pass over it alone; the ids that were fed are looked at, so padding can be told."""

    exercise = "padded-prefill"
    uses = ("padded_prefill", "padded_step")
    criteria = {"after the prompts": 1.5, "going on": 1.5, "one call": 1.0}
    forbids = dict.fromkeys(("each_alone", "each_goes_on"), "the stand-in is not an answer: one call for all rows")

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """The longest first, last and in the middle; all alike; rows that are moved and cut in between."""
        ragged = [("learned", [5, 1, 3]), ("rotary", [2, 4]), ("learned", [1, 1, 2, 6]), ("rotary", [3, 3])]
        for positions, lengths in ragged:
            yield Case("after the prompts", self._draw(rng, positions, lengths, 0))
        for positions, lengths in ragged[:3]:
            yield Case("going on", self._draw(rng, positions, lengths, 4))
        yield Case("going on", {**self._draw(rng, "learned", [2, 5, 3], 4), "rows": [2, 0, 2], "cut": 1})
        for lengths, steps in (([4, 2, 1], 3), ([1, 3], 1)):
            yield Case("one call", self._draw(rng, "learned", lengths, steps))

    @staticmethod
    def _draw(rng: np.random.Generator, positions: str, lengths: list[int], steps: int) -> dict[str, Any]:
        vocab_size = SIZES["vocab_size"]
        return {
            "model": draw_model(rng, positions),
            "prompts": [rng.integers(vocab_size, size=length).tolist() for length in lengths],
            "tokens": rng.integers(vocab_size, size=(steps, len(lengths))),
        }

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """Logits after the prompts and after every step; the ids of each call of the model; the mask at the end."""
        import torch
        from byhand.gpt import GPT, GPTConfig

        gpt = GPT(GPTConfig(**inputs["model"]["sizes"])).double()
        gpt.load_weights({name: torch.tensor(array) for name, array in inputs["model"]["weights"].items()})
        gpt.eval().requires_grad_(False)
        fed = []
        gpt.token_embedding.register_forward_hook(lambda layer, given, out: fed.append(given[0].clone()))
        prompts, cache = [list(prompt) for prompt in inputs["prompts"]], {}
        logits = [student.padded_prefill(prompts, gpt, cache)]
        for at, tokens in enumerate(torch.tensor(inputs["tokens"])):
            if at == 2 and "rows" in inputs:  # as after a rejected guess, and a step of a beam search
                rows, keep = inputs["rows"], cache["keys"][0].shape[2] - inputs["cut"]
                cache = {
                    "keys": [layer[rows, :, :keep] for layer in cache["keys"]],
                    "values": [layer[rows, :, :keep] for layer in cache["values"]],
                    "attention_mask": cache["attention_mask"][rows, :keep],
                }
            logits.append(student.padded_step(tokens.clone(), cache, gpt))
        mask = cache.get("attention_mask")
        return {
            "logits": [each.clone() for each in logits],
            "fed": [list(ids.shape) for ids in fed],
            "first": fed[0] if fed else None,
            "mask": mask.clone() if isinstance(mask, torch.Tensor) else None,
            "kind": str(getattr(mask, "dtype", None)),
            "intact": prompts == inputs["prompts"],
        }

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Prompts; calls; logits after the prompts, then after the steps, then the mask."""
        prompts, tokens = case.inputs["prompts"], case.inputs["tokens"]
        lengths = [len(prompt) for prompt in prompts]
        kind = case.inputs["model"]["sizes"]["positions"]
        given = f"prompts of {', '.join(map(str, lengths))} tokens, {kind} positions"
        if not answer["intact"]:
            return wrong(f"the prompts were changed by the call; {given}")
        shape = (len(prompts), SIZES["vocab_size"])
        for logits in answer["logits"]:
            if logits.shape != shape:
                return wrong(f"the logits have shape {logits.shape}, not {shape}; {given}")
            if np.isnan(logits).any():
                return wrong(f"nan comes out: do padding tokens spread it through their values?; {given}")
        if case.criterion == "one call":
            batch, longest = len(prompts), max(lengths)
            want = [[batch, longest]] + [[batch, 1]] * len(tokens)
            if answer["fed"] != want:
                return wrong(
                    f"the model was called with ids of shapes {answer['fed']}; one call with all rows, {want[0]}, and "
                    f"one for each step; {given}"
                )
            return self._mask(case, answer, given)
        model = Model(case.inputs["model"])
        alone = np.stack([model.logits(prompt)[-1] for prompt in prompts])
        if not close(answer["logits"][0], alone, **EXACT):
            return self._prompts(model, prompts, answer, given)
        if case.criterion == "after the prompts":
            return right()
        verdict = self._steps(model, case, answer, given)
        return verdict if not verdict.passed else self._mask(case, answer, given)

    @staticmethod
    def _texts(case: Case) -> list[tuple[list[list[int]], list[int]]]:
        """Every row's text after the prompts and after each step, and which prompt it began with."""
        texts = [list(prompt) for prompt in case.inputs["prompts"]]
        origin = list(range(len(texts)))
        found = [([list(text) for text in texts], list(origin))]
        for at, tokens in enumerate(case.inputs["tokens"].tolist()):
            if at == 2 and "rows" in case.inputs:
                rows, cut = case.inputs["rows"], case.inputs["cut"]
                texts, origin = [texts[row][:-cut] for row in rows], [origin[row] for row in rows]
            texts = [[*text, token] for text, token in zip(texts, tokens, strict=True)]
            found.append(([list(text) for text in texts], list(origin)))
        return found

    def _mask(self, case: Case, answer: Any, given: str) -> Verdict:
        texts, _ = self._texts(case)[-1]
        longest = max(len(prompt) for prompt in case.inputs["prompts"]) + len(case.inputs["tokens"])
        longest -= case.inputs.get("cut", 0)
        want = np.arange(longest)[None] >= longest - np.array([[len(text)] for text in texts])
        if answer["mask"] is None:
            return wrong(f"the cache holds no attention_mask; {given}")
        if answer["kind"] != "torch.bool":
            return wrong(f"attention_mask is boolean, this is {answer['kind']}; {given}")
        if answer["mask"].shape != want.shape:
            return wrong(
                f"attention_mask has shape {answer['mask'].shape} after {len(case.inputs['tokens'])} steps: it has a "
                f"column for each token of the cache; {given}"
            )
        return (
            right()
            if (answer["mask"] == want).all()
            else wrong(f"attention_mask is not False at padding on the left, True behind it; {given}")
        )

    @staticmethod
    def _prompts(model: Model, prompts: list[list[int]], answer: Any, given: str) -> Verdict:
        first, longest = answer["first"], max(len(prompt) for prompt in prompts)
        if first is None or first.shape != (len(prompts), longest):
            return wrong(f"a row does not get the logits that it gets alone; {given}")
        lengths = [len(prompt) for prompt in prompts]
        if all(row[:size].tolist() == prompt for row, size, prompt in zip(first, lengths, prompts, strict=True)):
            return wrong(
                f"shorter prompts are padded on the right, so the last column is padding; pad on the left; {given}"
            )

        def of(counts: bool, looked_at: bool) -> np.ndarray:
            return np.stack(
                [model.logits(*padded(row, longest - size, counts, looked_at))[-1]
                 for row, size in zip(first, lengths, strict=True)]
            )  # fmt: skip

        suspects = [
            (of(True, False), f"padding counts as a position: a prompt begins at position 0 behind it; {given}"),
            (of(False, True), f"padding is looked at: the mask has no effect; {given}"),
            (of(True, True), f"padding is looked at, and counts as a position; {given}"),
        ]
        return name_the_mistake(
            answer["logits"][0], suspects, f"a row does not get the logits that it gets alone; {given}", **EXACT
        )

    def _steps(self, model: Model, case: Case, answer: Any, given: str) -> Verdict:
        lengths = [len(prompt) for prompt in case.inputs["prompts"]]
        longest = max(lengths)
        for number, (texts, origin) in enumerate(self._texts(case)):
            got = answer["logits"][number]
            if close(got, np.stack([model.logits(text)[-1] for text in texts]), **EXACT):
                continue
            after = f"after step {number}" + (", rows moved and cut in between" if "rows" in case.inputs else "")
            suspects = []
            for counts, looked_at, words in (
                (True, False, "the new tokens' positions count the padding: use the number of real tokens"),
                (False, True, "new tokens look at the padding: hand the mask to every step"),
                (True, True, "new tokens look at the padding, and count it as a position"),
            ):
                rows = []
                for text, source in zip(texts, origin, strict=True):
                    missing = longest - lengths[source]
                    pad = answer["first"][source][:missing].tolist() if answer["first"] is not None else [0] * missing
                    whole = [*pad, *text]
                    rows.append(model.logits(*padded(whole, missing, counts, looked_at, longest))[-1])
                suspects.append((np.stack(rows), f"{words}; {after}, {given}"))
            return name_the_mistake(
                got, suspects, f"{after}, a row does not get the logits that it gets alone; {given}", **EXACT
            )
        return right()


def padded(
    ids: Sequence[int], missing: int, counts: bool, looked_at: bool, since: int = 0
) -> tuple[Sequence[int], np.ndarray, np.ndarray]:
    """A padded row's ids, positions and pattern; the mistakes are made from column `since` on."""
    columns = np.arange(len(ids))
    positions = np.where((columns >= since) & counts, columns, np.maximum(columns - missing, 0))
    hidden = np.tile(columns < missing, (len(ids), 1))
    if looked_at:
        hidden &= (columns < since)[:, None]
    return ids, positions, np.tri(len(ids), dtype=bool) & ~hidden

"""The hidden checks of chapter 6: what a right answer must do, and what each wrong one is told.

Expected values are computed here by other routes: means of selected rows, lists, all pairs, a correlation of columns.
Masks are ragged and have gaps, padding holds NaN, words have equal labels, logits tie. What is drawn at random is
judged by counts, at odds of less than one in a million.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from grader.comparing import close, name_the_mistake
from grader.hidden import Case, HiddenCheck, Verdict, right, wrong


def ragged(rng: np.random.Generator, batch: int, seq: int, kind: str) -> np.ndarray:
    """A mask with one to seq - 1 tokens a row, padded right, left, or with gaps that are not all alike."""
    mask = np.zeros((batch, seq), dtype=bool)
    counts = rng.permutation(np.arange(batch) % (seq - 1) + 1)
    for row, count in enumerate(counts):
        places = {
            "right": range(count),
            "left": range(seq - count, seq),
            "gaps": sorted(rng.choice(seq, count, replace=False)),
        }[kind]
        mask[row, list(places)] = True
    return mask


# ------------------------------------------------------------------------------- 6.1 mean pooling


class MeanPool(HiddenCheck):
    """6.1: ragged masks; NaN at padding; a row without tokens; half precision."""

    exercise = "mean-pool"
    uses = ("mean_pool",)
    criteria = {"values": 1.0, "what padding holds": 1.0, "empty rows, dtype, gradient": 1.0}
    forbids = dict.fromkeys(
        ("F.embedding_bag", "nn.EmbeddingBag", "bag_of_tokens"),
        "EmbeddingBag is the stand-in: a sum over the tokens, divided by their number, is the exercise",
    )

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Sizes (batch, seq, d_model) that all differ; padding on each side and between."""
        for sizes, kind in (((4, 5, 3), "right"), ((3, 7, 2), "left"), ((5, 6, 4), "gaps"), ((1, 4, 6), "gaps")):
            yield Case("values", self._draw(rng, sizes, kind))
        yield Case("values", {**self._draw(rng, (2, 3, 5), "right"), "mask": np.ones((2, 3), dtype=bool)})
        for filler, kind in ((math.nan, "gaps"), (math.inf, "right"), (1e300, "left")):
            inputs = self._draw(rng, (4, 6, 3), kind)
            inputs["hidden"][~inputs["mask"]] = filler
            yield Case("what padding holds", inputs)
        last = "empty rows, dtype, gradient"
        inputs = self._draw(rng, (3, 4, 2), "gaps")
        inputs["mask"][1] = False
        yield Case(last, {**inputs, "upstream": rng.normal(size=(3, 2))})
        yield Case(last, {**self._draw(rng, (3, 5, 2), "left"), "upstream": rng.normal(size=(3, 2))})
        half = self._draw(rng, (2, 4, 3), "right")
        half["hidden"] = rng.integers(-8, 8, size=(2, 4, 3)).astype(np.float16)
        half["mask"] = np.array([[True, True, False, False], [True, True, True, True]])
        yield Case(last, half)

    @staticmethod
    def _draw(rng: np.random.Generator, sizes: tuple[int, int, int], kind: str) -> dict[str, Any]:
        return {"hidden": rng.normal(size=sizes) + 1.5, "mask": ragged(rng, *sizes[:2], kind)}

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The result, the last row's alone, the inputs afterwards, and the gradient."""
        import torch

        hidden = torch.tensor(inputs["hidden"], requires_grad="upstream" in inputs)
        mask = torch.tensor(inputs["mask"])
        out = student.mean_pool(hidden, mask)
        same = torch.equal(torch.nan_to_num(hidden.detach()), torch.nan_to_num(torch.tensor(inputs["hidden"])))
        answer = {
            "out": out,
            "intact": same and torch.equal(mask, torch.tensor(inputs["mask"])),
            "gradient": None,
        }
        if "upstream" in inputs and out.requires_grad:
            (out * torch.tensor(inputs["upstream"])).sum().backward()
            answer["gradient"] = hidden.grad
        return answer

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Inputs, shape, values, dtype, gradient."""
        hidden, mask = case.inputs["hidden"], case.inputs["mask"]
        given = f"hidden {hidden.shape}, tokens a row {mask.sum(1).tolist()}"
        out, width = answer["out"], hidden.shape[-1]
        if not answer["intact"]:
            return wrong(f"an input was changed by the call: pool a new tensor; {given}")
        want = np.array(
            [row[keep].mean(axis=0) if keep.any() else np.zeros(width) for row, keep in zip(hidden, mask, strict=True)]
        )
        if getattr(out, "shape", None) != want.shape:
            return wrong(f"the shape is {getattr(out, 'shape', None)}, not {want.shape}; {given}")
        if not close(out, want):
            return self._name(hidden, mask, out, given)
        if out.dtype != hidden.dtype:
            return wrong(f"{hidden.dtype} came in and {out.dtype} came out; {given}")
        if "upstream" not in case.inputs:
            return right()
        if answer["gradient"] is None:
            return wrong(f"no gradient reaches hidden: the graph was cut; {given}")
        share = mask / np.maximum(mask.sum(axis=1, keepdims=True), 1)
        if not close(answer["gradient"], share[:, :, None] * case.inputs["upstream"][:, None, :]):
            return wrong(f"the gradient is not shared evenly among the tokens, and 0 at padding; {given}")
        return right()

    @staticmethod
    def _name(hidden: np.ndarray, mask: np.ndarray, out: np.ndarray, given: str) -> Verdict:
        empty = ~mask.any(axis=1)
        if empty.any() and not np.all(np.isfinite(out[empty])):
            return wrong(f"a row without tokens gave NaN: 0 was divided by 0; {given}")
        if not np.all(np.isfinite(hidden)) and not np.all(np.isfinite(out)):
            return wrong(f"what stands at padding came through: NaN times 0 is NaN, so replace it; {given}")
        clean = np.where(mask[:, :, None], hidden, 0.0)
        with np.errstate(all="ignore"):
            suspects = [
                (hidden.mean(axis=1), "the mean is over all places, padding too"),
                (clean.sum(axis=1) / mask.shape[1], "the sum leaves padding out, but it is divided by seq"),
                (clean.sum(axis=1) / mask.sum(axis=1).max(), "divided by the longest row's number of tokens"),
                (clean.sum(axis=1) / mask.sum() * len(mask), "divided by the batch's mean number of tokens"),
                (hidden[:, 0], "this is the first token's vector, not the mean"),
                (clean.sum(axis=1), "this is the sum, not the mean"),
                (clean.max(axis=1), "this is the largest number of each column, not the mean"),
                (
                    np.where(mask[:, :, None], 0.0, hidden).sum(1) / np.maximum((~mask).sum(1), 1)[:, None],
                    "the mask is inverted: True means a token",
                ),
            ]
        return name_the_mistake(
            out, [(v, f"{words}; {given}") for v, words in suspects], f"not the mean of each row's tokens; {given}"
        )


# ------------------------------------------------------------------------------------ 6.2 freezing


class Freeze(HiddenCheck):
    """6.2: a nested model with a tied weight; old gradients; AdamW over everything; frozen before."""

    exercise = "freeze"
    uses = ("freeze",)
    criteria = {"who learns": 0.5, "the count": 0.5, "frozen stays put": 0.5, "misspelt, and again": 0.5}
    forbids = {"by_prefix": "the stand-in knows no regular expressions: write your own"}

    PATTERNS = (
        [r"^head\."],
        [r"bias$"],
        [r"blocks\.1\.", "head"],
        [r"blocks\.\d+\.norm"],
        ["embedding"],
        [],
        ["weight", "embedding"],
    )

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Patterns that start at the beginning, in the middle and at the end of names; several for one name."""
        sizes = [int(n) for n in rng.permutation([3, 4, 5])]
        for patterns in self.PATTERNS:
            yield Case("who learns", {"sizes": sizes, "patterns": patterns})
            yield Case("the count", {"sizes": sizes, "patterns": patterns})
        for patterns in ([r"^head\."], [r"blocks\.0"]):
            yield Case("frozen stays put", {"sizes": sizes, "patterns": patterns, "step": True})
        for patterns in (["haed"], [r"^head\.", r"^block\."], [r"\.head"]):
            yield Case("misspelt, and again", {"sizes": sizes, "patterns": patterns})
        yield Case("misspelt, and again", {"sizes": sizes, "patterns": ["head"], "before": ["embedding"]})

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """Flags, count, which values an AdamW over everything moves, and a refusal if there was one."""
        import torch
        from torch import nn

        torch.manual_seed(0)
        n, d, k = inputs["sizes"]
        block = lambda: nn.ModuleDict({"linear": nn.Linear(d, d), "norm": nn.LayerNorm(d)})  # noqa: E731
        parts = {"embedding": nn.Embedding(n, d), "blocks": nn.ModuleList([block(), block()]), "head": nn.Linear(d, k)}
        model = nn.ModuleDict(parts)
        model["unembedding"] = nn.Linear(d, n, bias=False)
        model["unembedding"].weight = model["embedding"].weight
        for parameter in model.parameters():
            parameter.grad = torch.ones_like(parameter)
        before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
        try:
            if "before" in inputs:
                student.freeze(model, list(inputs["before"]))
            count = student.freeze(model, list(inputs["patterns"]))
        except ValueError as error:
            return {"refused": str(error)[:200]}
        unchanged = all(torch.equal(parameter, before[name]) for name, parameter in model.named_parameters())
        flags = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
        moved = []
        if "step" in inputs:
            for parameter in model.parameters():
                if parameter.requires_grad and parameter.grad is None:
                    parameter.grad = torch.ones_like(parameter)
            optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.1)
            optimizer.step()
            moved = [name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])]
        return {"refused": None, "count": count, "flags": flags, "unchanged": unchanged, "moved": moved}

    @staticmethod
    def _parameters(sizes: Sequence[int]) -> dict[str, int]:
        n, d, k = sizes
        names = {"embedding.weight": n * d}
        for number in (0, 1):
            names |= {f"blocks.{number}.linear.weight": d * d, f"blocks.{number}.linear.bias": d}
            names |= {f"blocks.{number}.norm.weight": d, f"blocks.{number}.norm.bias": d}
        return names | {"head.weight": k * d, "head.bias": k}

    EXPECTED = {
        r"^head\.": ("head.",),
        r"bias$": ("bias",),
        r"blocks\.1\.": ("blocks.1.",),
        "head": ("head",),
        r"blocks\.\d+\.norm": (".norm.",),
        "embedding": ("embedding",),
        "weight": ("weight",),
        r"blocks\.0": ("blocks.0",),
    }

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Refusals, values, then what the criterion asks for."""
        patterns = case.inputs["patterns"]
        given = f"patterns {patterns}"
        misspelt = [pattern for pattern in patterns if pattern not in self.EXPECTED]
        if misspelt:
            if answer["refused"] is not None:
                return right()
            return wrong(f"{misspelt[0]!r} is found in no name, and nothing was raised: a misspelt name; {given}")
        if answer["refused"] is not None:
            return wrong(f"a ValueError although every pattern is found: {answer['refused']}; {given}")
        if not answer["unchanged"]:
            return wrong(f"freezing changed the values of parameters; {given}")
        sizes = self._parameters(case.inputs["sizes"])
        want = {name: any(part in name for pattern in patterns for part in self.EXPECTED[pattern]) for name in sizes}
        if case.criterion == "the count":
            return self._count(answer["count"], sizes, want, given)
        if case.criterion == "frozen stays put":
            still = [name for name in answer["moved"] if not want[name]]
            if still:
                return wrong(
                    f"{still[0]} is frozen, and AdamW moved it: an old gradient, or one of zeros, is still there, and "
                    f"weight decay works on; set grad to None; {given}"
                )
            stuck = [name for name in want if want[name] and name not in answer["moved"]]
            return wrong(f"{stuck[0]} should learn and did not move; {given}") if stuck else right()
        return self._flags(answer["flags"], want, case, given)

    @staticmethod
    def _flags(flags: dict[str, bool], want: dict[str, bool], case: Case, given: str) -> Verdict:
        if flags == want:
            return right()
        if flags == {name: not learns for name, learns in want.items()}:
            return wrong(f"inverted: the patterns name what learns, the rest is frozen; {given}")
        lost = [name for name in want if want[name] and not flags[name]]
        if lost and "before" in case.inputs:
            return wrong(f"{lost[0]} was frozen by an earlier call and should learn again; {given}")
        if lost:
            return wrong(f"{lost[0]} should learn: a pattern is looked for anywhere in the whole dotted name; {given}")
        extra = next(name for name in want if flags[name] and not want[name])
        return wrong(f"{extra} still has requires_grad, though no pattern is found in it; {given}")

    @staticmethod
    def _count(count: Any, sizes: dict[str, int], want: dict[str, bool], given: str) -> Verdict:
        total = sum(sizes[name] for name in sizes if want[name])
        if type(count) is int and count == total:
            return right()
        suspects = [
            (sum(want.values()), "this is the number of tensors; asked is how many numbers they hold"),
            (sum(sizes.values()) - total, "this is what is frozen; asked is what learns"),
            (sum(sizes.values()), "this is the size of the whole model; asked is what learns"),
            (total + sizes["embedding.weight"], "the tied weight was counted twice"),
            (
                sum(
                    sizes[name] * sum(any(part in name for part in Freeze.EXPECTED[pattern]) for pattern in patterns)
                    for name in sizes
                )
                if (patterns := [p for p in Freeze.EXPECTED if repr(p) in given])
                else None,
                "a parameter that two patterns name was counted twice",
            ),
        ]
        for value, words in suspects:
            if value == count and value != total:
                return wrong(f"{words}; {given}")
        return wrong(f"{count!r} numbers are not what learns; {given}")


# ---------------------------------------------------------------------------- 6.3 labels for pieces


class AlignLabels(HiddenCheck):
    """6.3: neighbours with the same label, labels of 0, words without pieces, word 0."""

    exercise = "align-labels"
    uses = ("align_labels",)
    criteria = {"first pieces": 1.5, "every piece": 0.75, "words without pieces or labels": 0.75}
    forbids = {"by_differences": "the stand-in knows no all_subwords: write your own"}

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Words of one to four pieces; labels from 0 to 2, so that neighbours agree and some are 0."""
        for n_words in (6, 9, 1):
            inputs = self._draw(rng, n_words)
            yield Case("first pieces", inputs)
            yield Case("every piece", {**inputs, "all_subwords": True})
        yield Case("first pieces", {"word_ids": [None, 0, 0, 1, 2, 2, None], "labels": [0, 0, 5]})
        yield Case("every piece", {"word_ids": [0, 0, 1, None, None], "labels": [0, 3], "all_subwords": True})
        yield Case("first pieces", {"word_ids": [None, None], "labels": []})
        yield Case("first pieces", {"word_ids": [], "labels": [1]})
        last = "words without pieces or labels"
        skipped = self._draw(rng, 8)
        for flag in (False, True):
            gap = {**skipped, "word_ids": [word for word in skipped["word_ids"] if word not in (0, 3, 7)]}
            yield Case(last, {**gap, "all_subwords": flag})
            yield Case(last, {**skipped, "labels": skipped["labels"][:-1], "all_subwords": flag})

    @staticmethod
    def _draw(rng: np.random.Generator, n_words: int) -> dict[str, Any]:
        word_ids = [word for word in range(n_words) for _ in range(int(rng.integers(1, 5)))]
        labels = [int(label) for label in rng.integers(0, 3, size=n_words)]
        if n_words > 3:
            labels[1] = labels[2] = 0
            word_ids = sorted([*word_ids, 1, 2])
        return {"word_ids": [None, *word_ids, None], "labels": labels}

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The labels, or the refusal, and the inputs afterwards."""
        word_ids, labels = list(inputs["word_ids"]), list(inputs["labels"])
        settings = {"all_subwords": True} if inputs.get("all_subwords") else {}
        try:
            aligned = student.align_labels(word_ids, labels, **settings)
        except ValueError as error:
            return {"refused": str(error)[:200]}
        intact = word_ids == inputs["word_ids"] and labels == inputs["labels"]
        return {"refused": None, "aligned": [int(label) for label in aligned], "intact": intact}

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Refusal, length, then the labels against those of each mistake."""
        word_ids, labels = case.inputs["word_ids"], case.inputs["labels"]
        everywhere = bool(case.inputs.get("all_subwords"))
        given = f"word_ids {word_ids}, labels {labels}" + (", all_subwords" if everywhere else "")
        if max([word for word in word_ids if word is not None], default=-1) >= len(labels):
            if answer["refused"] is not None:
                return right()
            return wrong(f"the last word has no label: a ValueError was asked; {given}")
        if answer["refused"] is not None:
            return wrong(f"a ValueError although every word has a label: {answer['refused']}; {given}")
        if not answer["intact"]:
            return wrong(f"a list was changed by the call; {given}")
        aligned = answer["aligned"]
        if len(aligned) != len(word_ids):
            return wrong(f"{len(word_ids)} pieces need as many labels, these are {len(aligned)}; {given}")
        first = {word: place for place, word in reversed(list(enumerate(word_ids)))}
        want = [
            -100 if word is None or not (everywhere or first[word] == place) else labels[word]
            for place, word in enumerate(word_ids)
        ]
        if aligned == want:
            return right()
        return self._name(aligned, word_ids, labels, want, given)

    @staticmethod
    def _name(aligned: list[int], word_ids: list[Any], labels: list[int], want: list[int], given: str) -> Verdict:
        nothing = [place for place, word in enumerate(word_ids) if word is None]
        if any(aligned[place] != -100 for place in nothing):
            return wrong(f"a special token got the label {aligned[nothing[0]]}: it belongs to no word; {given}")
        whole = [-100 if word is None else labels[word] for word in word_ids]
        if aligned == whole:
            return wrong(f"every piece is labelled: without all_subwords only the first of a word is; {given}")
        zero = [-100 if word == 0 else label for word, label in zip(word_ids, want, strict=True)]
        if aligned == zero:
            return wrong(f"word 0 got no label: 0 is a word, only None is none; {given}")
        if aligned == [-100 if label == 0 else label for label in want]:
            return wrong(f"the label 0 was lost: 0 is a label like any other; {given}")
        order = {word: number for number, word in enumerate(dict.fromkeys(w for w in word_ids if w is not None))}
        shifted = [label if label == -100 else labels[order[word]] for word, label in zip(word_ids, want, strict=True)]
        if aligned == shifted:
            return wrong(f"labels were handed out in turn; a word without pieces shifts all after it; {given}")
        ends = [
            -100 if word is None or after == word else labels[word]
            for word, after in zip(word_ids, [*word_ids[1:], None], strict=True)
        ]
        if aligned == ends:
            return wrong(f"the last piece of each word is labelled, not the first; {given}")
        merged = [
            -100 if label != -100 and place and whole[place - 1] == label else label for place, label in enumerate(want)
        ]
        if aligned == merged:
            return wrong(f"two neighbouring words with the same label were taken for one word; {given}")
        if any(label not in (-100, right_one) for label, right_one in zip(aligned, whole, strict=True)):
            return wrong(f"a piece has the label of another word; {given}")
        return wrong(f"these are not the labels of the words at their pieces; {given}")


# -------------------------------------------------------------------------------- 6.4 the best span


class BestSpan(HiddenCheck):
    """6.4: best starts behind best ends, gaps in what is allowed, whole numbers that tie, NaN outside."""

    exercise = "best-span"
    uses = ("best_span",)
    criteria = {"order and length": 1.0, "what is allowed": 1.0, "sums and ties": 1.0}
    forbids = {"by_candidates": "the stand-in looks at a few candidates only: write your own"}

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Random logits at several lengths; then the situations in which one mistake differs."""
        crossed = self._draw(rng, 10, 4)
        crossed["start"][8], crossed["end"][2] = 9.0, 9.0
        yield Case("order and length", crossed)
        for seq, max_len in ((7, 3), (12, 5), (9, 9), (6, 1), (1, 2), (8, 20), (30, 4), (25, 7)):
            yield Case("order and length", self._draw(rng, seq, max_len))
        far = self._draw(rng, 10, 4)
        far["start"][2], far["end"][6], far["end"][5] = 9.0, 9.0, 6.0
        yield Case("order and length", far)
        for kind in ("front", "gap", "gap", "one"):
            inputs = self._draw(rng, 14, 6)
            hidden = {"front": range(5), "gap": [4, 9], "one": [p for p in range(14) if p != 11]}[kind]
            for place in hidden:
                inputs["allowed"][place] = False
                inputs["start"][place] = inputs["end"][place] = 50.0
            if kind == "gap":
                inputs["start"][3], inputs["end"][5] = 20.0, 20.0
            yield Case("what is allowed", inputs)
        spoilt = self._draw(rng, 11, 4)
        spoilt["allowed"][[0, 1, 6]] = False
        for filler in (math.nan, math.inf):
            for name in ("start", "end"):
                spoilt[name][[0, 1, 6]] = filler
            yield Case("what is allowed", {name: np.copy(array) for name, array in spoilt.items()})
        for _ in range(3):
            ties = self._draw(rng, 9, 4)
            ties["start"], ties["end"] = (rng.integers(-1, 2, size=9).astype(float) for _ in range(2))
            yield Case("sums and ties", ties)
        flat = self._draw(rng, 5, 3)
        flat["start"], flat["end"] = np.full(5, -3.0), np.full(5, -2.0)
        yield Case("sums and ties", flat)
        low = self._draw(rng, 8, 3)
        low["start"], low["end"] = low["start"] - 1e4, low["end"] - 1e4
        yield Case("sums and ties", low)
        greedy = self._draw(rng, 8, 3)
        greedy["start"], greedy["end"] = np.zeros(8), np.zeros(8)
        greedy["start"][[1, 5]], greedy["end"][[2, 6]] = [3.0, 2.0], [0.5, 4.0]
        yield Case("sums and ties", greedy)
        greedy = {name: np.copy(array) for name, array in greedy.items()}
        greedy["start"], greedy["end"] = greedy["end"][::-1].copy(), greedy["start"][::-1].copy()
        yield Case("sums and ties", greedy)
        negative = self._draw(rng, 6, 3)
        negative["start"], negative["end"] = -np.arange(2.0, 8.0), -np.arange(9.0, 3.0, -1.0)
        yield Case("sums and ties", negative)

    @staticmethod
    def _draw(rng: np.random.Generator, seq: int, max_len: int) -> dict[str, Any]:
        start, end = rng.normal(size=(2, seq))
        return {"start": start, "end": end, "max_len": max_len, "allowed": np.ones(seq, dtype=bool)}

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The span and the inputs afterwards."""
        import torch

        names = ("start", "end", "allowed")
        given = [torch.tensor(inputs[name]) for name in names]
        first, last = student.best_span(given[0], given[1], int(inputs["max_len"]), given[2])
        pairs = zip(names, given, strict=True)
        intact = all(
            torch.equal(torch.nan_to_num(t), torch.nan_to_num(torch.tensor(inputs[name]))) for name, t in pairs
        )
        kinds = [type(first).__name__, type(last).__name__]
        return {"span": [int(first), int(last)], "kinds": kinds, "intact": intact}

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Whether it is a span at all, then whether it is the best, then which of equal ones."""
        start, end, allowed = (case.inputs[name] for name in ("start", "end", "allowed"))
        max_len = int(case.inputs["max_len"])
        seq = len(start)
        given = f"{seq} tokens, max_len={max_len}, allowed at {np.flatnonzero(allowed).tolist()}"
        if not answer["intact"]:
            return wrong(f"an input was changed by the call; {given}")
        first, last = answer["span"]
        said = f"({first}, {last})"
        if not (0 <= first < seq and 0 <= last < seq):
            return wrong(f"{said} is outside the text; {given}")
        apart = [
            int(np.where(allowed, row, -np.inf).argmax()) if np.isfinite(row).any() else -1 for row in (start, end)
        ]
        if apart[1] < apart[0] and [first, last] == apart[::-1]:
            return wrong(
                f"{said} is the best start and the best end in exchanged roles: chosen apart, then sorted; {given}"
            )
        if last < first:
            return wrong(f"{said} ends before it starts: both ends were chosen apart; {given}")
        if last - first == max_len:
            return wrong(f"{said} has one token too many: both ends count; {given}")
        if last - first >= max_len:
            return wrong(f"{said} is longer than max_len; {given}")
        if not (allowed[first] and allowed[last]):
            return wrong(f"{said} begins or ends where nothing is allowed; {given}")
        if not allowed[first : last + 1].all():
            return wrong(f"{said} runs across a token that is not allowed: every token of it must be; {given}")
        spans = {
            (i, j): start[i] + end[j]
            for i in range(seq)
            for j in range(i, min(seq, i + max_len))
            if allowed[i : j + 1].all()
        }
        top = max(spans.values())
        want = min(span for span, value in spans.items() if value == top)
        if (first, last) == want:
            if answer["kinds"] != ["int", "int"]:
                return wrong(f"two Python integers were asked, these are {' and '.join(answer['kinds'])}; {given}")
            return right()
        if spans[first, last] == top:
            return wrong(f"{said} ties with another span that begins earlier, or is shorter: that one counts; {given}")
        places = [place for place in range(seq) if allowed[place]]
        if start[first] == max(start[place] for place in places):
            return wrong(
                f"{said} has the best start, and then the best end for it; the largest sum may be elsewhere; {given}"
            )
        if end[last] == max(end[place] for place in places):
            return wrong(
                f"{said} has the best end, and then the best start for it; the largest sum may be elsewhere; {given}"
            )
        if start[first] * end[last] == max(start[i] * end[j] for i, j in spans):
            return wrong(f"{said} has the largest product of logits; logarithms are added; {given}")
        return wrong(f"{said} has not the largest sum; {given}")


# ------------------------------------------------------------------------ 6.5 a decoder's input


class FormatNli(HiddenCheck):
    """6.5: sentences of unlike lengths, empty ones, repeated words, and special tokens inside."""

    exercise = "format-nli"
    uses = ("format_nli",)
    criteria = {"the sequence": 0.5, "special tokens inside": 0.5}

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Special ids in any order, above and below the ordinary ones."""
        for lengths in ((3, 5), (4, 1), (0, 2), (2, 0), (0, 0)):
            yield Case("the sequence", self._draw(rng, lengths))
        for name in ("start", "delimiter", "extract"):
            for side in (0, 1):
                inputs = self._draw(rng, (4, 3))
                inputs[("premise", "hypothesis")[side]][1] = inputs["ids"][name]
                yield Case("special tokens inside", inputs)
        yield Case("special tokens inside", self._draw(rng, (2, 6)))

    @staticmethod
    def _draw(rng: np.random.Generator, lengths: tuple[int, int]) -> dict[str, Any]:
        drawn = [int(number) for number in rng.permutation(40)]
        premise, hypothesis = ([int(token) for token in rng.choice(drawn[3:12], size=length)] for length in lengths)
        if min(lengths) > 0 and premise[0] == hypothesis[0]:
            hypothesis[0] = drawn[20]
        return {
            "premise": premise,
            "hypothesis": hypothesis,
            "ids": dict(zip(("start", "delimiter", "extract"), drawn, strict=False)),
        }

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """Tokens and place, or the refusal, and the inputs afterwards."""
        premise, hypothesis, ids = list(inputs["premise"]), list(inputs["hypothesis"]), dict(inputs["ids"])
        try:
            tokens, place = student.format_nli(premise, hypothesis, ids)
        except ValueError as error:
            return {"refused": str(error)[:200]}
        intact = premise == inputs["premise"] and hypothesis == inputs["hypothesis"] and ids == inputs["ids"]
        return {"refused": None, "tokens": [int(t) for t in tokens], "place": int(place), "intact": intact}

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Refusal, the sequence, the place."""
        premise, hypothesis, ids = (case.inputs[name] for name in ("premise", "hypothesis", "ids"))
        given = f"premise {premise}, hypothesis {hypothesis}, ids {ids}"
        inside = [token for token in premise + hypothesis if token in ids.values()]
        if inside:
            if answer["refused"] is not None:
                return right()
            return wrong(f"token {inside[0]} is special and stands in a sentence: a ValueError was asked; {given}")
        if answer["refused"] is not None:
            return wrong(f"a ValueError although no sentence holds a special token: {answer['refused']}; {given}")
        if not answer["intact"]:
            return wrong(f"a sentence was changed by the call: build a new list; {given}")
        start, delimiter, extract = (ids[name] for name in ("start", "delimiter", "extract"))
        tokens, place = answer["tokens"], answer["place"]
        want = [start, *premise, delimiter, *hypothesis, extract]
        if tokens != want:
            for other, words in (
                ([start, *hypothesis, delimiter, *premise, extract], "the sentences are swapped: the premise is first"),
                ([start, *premise, *hypothesis, extract], "the delimiter is missing: nobody sees where one ends"),
                ([*premise, delimiter, *hypothesis, extract], "the start token is missing"),
                ([start, *premise, delimiter, *hypothesis], "the extract token is missing"),
                ([start, *premise, delimiter, *hypothesis, delimiter, extract], "a second delimiter before extract"),
                ([extract, *premise, delimiter, *hypothesis, start], "start and extract are exchanged"),
            ):
                if tokens == other:
                    return wrong(f"{words}; {given}")
            return wrong(f"not start, premise, delimiter, hypothesis, extract; {given}")
        if place == len(want) - 1:
            return right()
        if place == 0:
            return wrong(f"place 0 is the start token, which has read nothing: a decoder's last token has; {given}")
        if place == len(want):
            return wrong(f"the place is counted from 1; {given}")
        if place < 0:
            return wrong(f"{place} counts from the end: with padding on the right it points elsewhere; {given}")
        return wrong(f"place {place} is not that of the extract token; {given}")


# ------------------------------------------------------------------------ 6.6 last-token pooling


class LastToken(HiddenCheck):
    """6.6: padding on either side and between; rows without tokens; the gradient."""

    exercise = "last-token"
    uses = ("last_token",)
    criteria = {"right padding": 0.5, "left padding and gaps": 1.0, "gradient and empty rows": 0.5}
    forbids = {"right_padded": "the stand-in knows padding on the right only: write your own"}

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Sizes (batch, seq, d_model) that all differ."""
        yield Case("right padding", self._draw(rng, (4, 6, 3), "right"))
        yield Case("right padding", self._draw(rng, (1, 5, 3), "right"))
        yield Case("right padding", self._draw(rng, (3, 4, 1), "right"))
        yield Case("right padding", {**self._draw(rng, (3, 2, 5), "right"), "mask": np.ones((3, 2), dtype=bool)})
        yield Case("left padding and gaps", self._draw(rng, (5, 7, 2), "left"))
        for _ in range(3):
            inputs = self._draw(rng, (5, 8, 3), "gaps")
            inputs["mask"][0] = [True, False, False, True, True, False, True, False]
            inputs["mask"][1] = [True] + [False] * 7
            yield Case("left padding and gaps", inputs)
        last = "gradient and empty rows"
        yield Case(last, {**self._draw(rng, (4, 5, 3), "gaps"), "upstream": rng.normal(size=(4, 3))})
        for row in (0, 2):
            empty = self._draw(rng, (3, 5, 4), "gaps")
            empty["mask"][row] = False
            yield Case(last, empty)

    @staticmethod
    def _draw(rng: np.random.Generator, sizes: tuple[int, int, int], kind: str) -> dict[str, Any]:
        return {"hidden": rng.normal(size=sizes), "mask": ragged(rng, *sizes[:2], kind)}

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The vectors, or the refusal; the inputs afterwards; the gradient."""
        import torch

        hidden = torch.tensor(inputs["hidden"], requires_grad="upstream" in inputs)
        mask = torch.tensor(inputs["mask"])
        try:
            out = student.last_token(hidden, mask)
        except ValueError as error:
            return {"refused": str(error)[:200]}
        intact = torch.equal(hidden.detach(), torch.tensor(inputs["hidden"]))
        intact = intact and torch.equal(mask, torch.tensor(inputs["mask"]))
        answer = {"refused": None, "out": out, "intact": intact, "gradient": None}
        if "upstream" in inputs and out.requires_grad:
            (out * torch.tensor(inputs["upstream"])).sum().backward()
            answer["gradient"] = hidden.grad
        return answer

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Refusal, shape, which place was read, gradient."""
        hidden, mask = case.inputs["hidden"], case.inputs["mask"]
        batch, _, width = hidden.shape
        given = f"hidden {hidden.shape}, tokens at {[np.flatnonzero(row).tolist() for row in mask]}"
        if not mask.any(axis=1).all():
            if answer["refused"] is not None:
                return right()
            return wrong(f"a row has no token and something was read all the same: a ValueError was asked; {given}")
        if answer["refused"] is not None:
            return wrong(f"a ValueError although every row has a token: {answer['refused']}; {given}")
        if not answer["intact"]:
            return wrong(f"an input was changed by the call; {given}")
        out = answer["out"]
        if getattr(out, "shape", None) != (batch, width):
            return wrong(f"the shape is {getattr(out, 'shape', None)}, not {(batch, width)}; {given}")
        last = np.array([np.flatnonzero(row)[-1] for row in mask])
        rows = np.arange(batch)
        if close(out, hidden[rows, last]):
            return self._gradient(case, answer["gradient"], last, given)
        suspects = [
            (hidden[:, -1], "the last column was read, which is padding in some rows"),
            (hidden[rows, mask.argmax(axis=1)], "the first token of each row was read"),
            (
                hidden[rows, mask.sum(axis=1) - 1],
                "the number of tokens minus 1 is the last place only if all padding stands on the right",
            ),
            (hidden[rows, mask[:, -1].astype(int)], "the mask was used as an index: True became place 1"),
            (hidden[rows, np.argmin(mask, axis=1) - 1], "the place before the first padding is not the last token"),
            (hidden[rows, mask[:, ::-1].argmax(axis=1)], "the place was counted from the end and read from the front"),
            (hidden.mean(axis=1), "this is a mean; one token was asked"),
        ]
        return name_the_mistake(
            out, [(v, f"{words}; {given}") for v, words in suspects], f"not each row's last token; {given}"
        )

    @staticmethod
    def _gradient(case: Case, gradient: Any, last: np.ndarray, given: str) -> Verdict:
        if "upstream" not in case.inputs:
            return right()
        if gradient is None:
            return wrong(f"no gradient reaches hidden: the graph was cut; {given}")
        want = np.zeros_like(case.inputs["hidden"])
        want[np.arange(len(last)), last] = case.inputs["upstream"]
        return right() if close(gradient, want) else wrong(f"the gradient is not at the chosen places alone; {given}")


# ----------------------------------------------------------------------------------- 6.7 rehearsal

FAR = 5.2  # standard deviations: about 2 in ten million


def uneven(counts: Sequence[float]) -> bool:
    """Pearson's test of equal chances, with the threshold of Wilson and Hilferty."""
    got = np.asarray(counts, dtype=float)
    freedom = len(got) - 1
    limit = freedom * (1 - 2 / (9 * freedom) + FAR * math.sqrt(2 / (9 * freedom))) ** 3
    return bool(((got - got.mean()) ** 2 / got.mean()).sum() > limit)


class Rehearsal(HiddenCheck):
    """6.7: several sizes, fewer old examples than are needed; many epochs, whose counts are tested."""

    exercise = "rehearsal"
    uses = ("rehearsal",)
    criteria = {"who comes": 0.75, "order": 0.75, "randomness and refusals": 0.5}
    forbids = dict.fromkeys(
        ("torch.utils.data.WeightedRandomSampler", "coin_tosses"),
        "the weighted sampler is the stand-in: it repeats some examples and leaves out others",
    )

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Shares whose counts are no halves; the nearest integer above and below."""
        for n_new, n_old, ratio, batch in (
            (20, 50, 0.2, 4),
            (11, 30, 0.3, 4),
            (10, 4, 0.5, 3),
            (7, 3, 0.75, 5),
            (5, 6, 0.0, 2),
            (5, 0, 0.0, 4),
            (3, 9, 0.1, 8),
            (9, 2, 0.4, 1),
        ):
            inputs = {"new": n_new, "old": n_old, "ratio": ratio, "batch": batch, "seeds": [int(rng.integers(1 << 30))]}
            yield Case("who comes", inputs)
        seeds = [int(seed) for seed in rng.integers(1 << 30, size=600)]
        yield Case("order", {"new": 9, "old": 12, "ratio": 0.4, "batch": 4, "seeds": seeds})
        last = "randomness and refusals"
        yield Case(last, {"new": 8, "old": 9, "ratio": 0.5, "batch": 3, "seeds": seeds[:1]})
        for ratio in (1.0, -0.1, 1.5):
            yield Case(last, {"new": 4, "old": 5, "ratio": ratio, "batch": 2, "seeds": seeds[:1]})

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The batches for each seed, new examples from 0, old from 1000; asked twice; global states; lists."""
        import random

        import numpy as np
        import torch

        new, old = list(range(inputs["new"])), list(range(1000, 1000 + inputs["old"]))
        kept = [list(new), list(old)]
        states = [random.getstate(), np.random.get_state()[1].tolist(), torch.random.get_rng_state().tolist()]
        try:
            epochs = [
                student.rehearsal(new, old, inputs["ratio"], inputs["batch"], random.Random(seed))
                for seed in inputs["seeds"]
            ]
        except ValueError as error:
            return {"refused": str(error)[:200]}
        again = student.rehearsal(new, old, inputs["ratio"], inputs["batch"], random.Random(inputs["seeds"][0]))
        after = [random.getstate(), np.random.get_state()[1].tolist(), torch.random.get_rng_state().tolist()]
        plain = [[[int(example) for example in batch] for batch in epoch] for epoch in epochs]
        repeated = [[int(example) for example in batch] for batch in again]
        return {
            "refused": None,
            "epochs": plain,
            "same": repeated == plain[0],
            "untouched": states == after,
            "intact": [new, old] == kept,
        }

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Refusals, lists, who comes how often, batches; then counts over many epochs."""
        n_new, n_old, ratio, batch = (case.inputs[name] for name in ("new", "old", "ratio", "batch"))
        given = f"{n_new} new, {n_old} old, ratio={ratio}, batch={batch}"
        if not 0 <= ratio < 1:
            return right() if answer["refused"] is not None else wrong(f"a ratio of {ratio} was accepted; {given}")
        if answer["refused"] is not None:
            return wrong(f"a ValueError was raised: {answer['refused']}; {given}")
        if not answer["intact"]:
            return wrong(f"new or old was changed by the call: shuffle a list of your own; {given}")
        if not answer["same"]:
            return wrong(f"the same rng gave other batches the second time: all randomness comes from rng; {given}")
        if not answer["untouched"]:
            return wrong(f"the global random state was used: all randomness comes from rng; {given}")
        for epoch in answer["epochs"]:
            words = self._epoch(epoch, n_new, n_old, ratio, batch)
            if words:
                return wrong(f"{words}; {given}")
        return self._order(answer["epochs"], n_new, n_old, given) if case.criterion == "order" else right()

    @staticmethod
    def _epoch(epoch: list[list[int]], n_new: int, n_old: int, ratio: float, batch: int) -> str:
        mixed = [example for each in epoch for example in each]
        new = Counter(example for example in mixed if example < 1000)
        old = Counter(example for example in mixed if example >= 1000)
        if max(new.values(), default=0) > 1:
            return "a new example comes twice"
        if len(new) != n_new:
            return f"{n_new - len(new)} new examples are missing"
        wanted = math.floor(n_new * ratio / (1 - ratio) + 0.5)
        if sum(old.values()) != wanted:
            found = sum(old.values())
            for other, words in (
                (round(n_new * ratio), "ratio was taken of the new ones; it is the share among all"),
                (round(n_new * (1 - ratio) / max(ratio, 1e-9)), "inverted: ratio is the share of the old ones"),
                (
                    math.floor(n_new * ratio / (1 - ratio)),
                    "the number of old ones was cut; the nearest integer is asked",
                ),
                (min(wanted, n_old), "when all old ones have come they come again, and here they ran out"),
            ):
                if found == other != wanted:
                    return f"{found} old examples: {words}"
            return f"{found} old examples came, which is not the share that was asked"
        if n_old and max(old.values(), default=0) - (min(old.values()) if len(old) == n_old else 0) > 1:
            return "an old example came again before all had come"
        sizes = [len(each) for each in epoch]
        if sizes != [min(batch, len(mixed) - i) for i in range(0, len(mixed), batch)]:
            return f"the batches have the sizes {sizes}"
        return ""

    @staticmethod
    def _order(epochs: list[list[list[int]]], n_new: int, n_old: int, given: str) -> Verdict:
        orders = np.array([[example for batch in epoch for example in batch] for epoch in epochs])
        if uneven((orders >= 1000).sum(axis=0)):
            return wrong(f"old ones gather at some places of the epoch: shuffle old and new together; {given}")
        if uneven([(orders == 1000 + number).sum() for number in range(n_old)]):
            return wrong(f"some old examples come more often than others: draw them at random; {given}")
        for example in (0, n_new - 1):
            if uneven((orders == example).sum(axis=0)):
                return wrong(f"a new example prefers some places: shuffle all examples; {given}")
        return right()


# --------------------------------------------------------------------------- 6.8 metrics of GLUE


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's; 0 where one column is constant."""
    if len(set(a.tolist())) < 2 or len(set(b.tolist())) < 2:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def ranks(values: Sequence[float], ties: str = "mean") -> np.ndarray:
    """Ranks from 1; equal values share their mean, their lowest or their highest rank, or are taken in turn."""
    order = sorted(range(len(values)), key=lambda place: values[place])
    in_turn = {place: rank for rank, place in enumerate(order, 1)}
    if ties == "in turn":
        return np.array([float(in_turn[place]) for place in range(len(values))])
    groups: dict[float, list[int]] = {}
    for place, value in enumerate(values):
        groups.setdefault(value, []).append(in_turn[place])
    if ties == "dense":
        return np.array([float(sorted(groups).index(value)) for value in values])
    fold = {"mean": lambda group: sum(group) / len(group), "min": min, "max": max}[ties]
    return np.array([float(fold(groups[value])) for value in values])


class GlueMetric(HiddenCheck):
    """6.8: against counts and correlations; one class only; ties; wild scales."""

    exercise = "glue-metric"
    uses = ("glue_metric",)
    criteria = {"accuracy and refusals": 0.5, "F1": 1.0, "Matthews": 1.25, "Spearman": 1.25}
    forbids = {
        **dict.fromkeys(
            (
                *("sklearn.metrics.accuracy_score", "sklearn.metrics.f1_score", "sklearn.metrics.matthews_corrcoef"),
                *("sklearn.metrics", "scipy.stats.spearmanr", "scipy.stats.rankdata", "scipy.stats"),
                *(".spearmanr", ".rankdata", ".matthews_corrcoef", ".f1_score"),
            ),
            "scipy and scikit-learn are what you are compared with: count and correlate yourself",
        ),
        "from_libraries": "the stand-in asks scipy and scikit-learn: write your own",
    }

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Lists of unlike shares of 0 and 1; each constant; the empty corners of the table."""
        for task, n in (("sst2", 7), ("mnli", 11), ("qnli", 5), ("rte", 4), ("wnli", 1)):
            guess, truth = (rng.integers(0, 3 if task == "mnli" else 2, size=n).tolist() for _ in range(2))
            yield Case("accuracy and refusals", {"task": task, "predicted": guess, "gold": truth})
        for task, guess, truth in (
            ("sst3", [1], [1]),
            ("sst2", [1, 0], [1]),
            ("cola", [], []),
            ("stsb", [1.0], [1.0, 2.0]),
        ):
            yield Case("accuracy and refusals", {"task": task, "predicted": guess, "gold": truth})
        for task, criterion in (("mrpc", "F1"), ("qqp", "F1"), ("cola", "Matthews")):
            for n in (13, 30):
                guess = (rng.random(n) < 0.6).astype(int)
                truth = np.where(rng.random(n) < 0.7, guess, rng.random(n) < 0.3).astype(int)
                guess[:4], truth[:4] = [1, 1, 0, 0], [1, 0, 1, 0]
                yield Case(criterion, {"task": task, "predicted": guess.tolist(), "gold": truth.tolist()})
        for guess, truth in (
            ([0, 0, 0], [0, 0, 0]),
            ([1, 1], [1, 1]),
            ([0, 0, 1, 0], [0, 0, 0, 0]),
            ([0, 0, 0, 0], [0, 1, 0, 1]),
            ([1, 1, 1], [1, 0, 1]),
            ([1, 0, 0], [0, 1, 1]),
            ([1], [0]),
        ):
            yield Case("F1", {"task": "mrpc", "predicted": guess, "gold": truth})
            yield Case("Matthews", {"task": "cola", "predicted": guess, "gold": truth})
        truth = rng.normal(size=12)
        yield Case(
            "Spearman",
            {"task": "stsb", "predicted": np.exp(3 * truth + rng.normal(size=12)).tolist(), "gold": truth.tolist()},
        )
        for n, levels in ((15, 4), (20, 6)):
            guess = rng.integers(0, levels, size=n)
            truth = np.where(rng.random(n) < 0.6, guess, rng.integers(0, levels, size=n)) ** 2
            guess[:3], truth[:3] = [1, 1, 2], [4, 4, 1]
            yield Case("Spearman", {"task": "stsb", "predicted": (guess / 2).tolist(), "gold": truth.tolist()})
        for guess, truth in (
            ([2.0, 2.0, 2.0], [1.0, 2.0, 3.0]),
            ([1.0, 5.0], [3.0, 3.0]),
            ([4.0], [2.0]),
            ([5.0, 1.0, 3.0], [0.0, 9.0, 4.0]),
            ([0.1, 0.1, 0.1], [1.0, 2.0, 3.0]),
        ):
            yield Case("Spearman", {"task": "stsb", "predicted": guess, "gold": truth})

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The number, or the refusal, and the lists afterwards."""
        predicted, gold = list(inputs["predicted"]), list(inputs["gold"])
        try:
            value = student.glue_metric(inputs["task"], predicted, gold)
        except ValueError as error:
            return {"refused": str(error)[:200]}
        intact = predicted == inputs["predicted"] and gold == inputs["gold"]
        return {"refused": None, "value": float(value), "kind": type(value).__name__, "intact": intact}

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Refusals, nan, the value against those of each mistake."""
        task, predicted, gold = (case.inputs[name] for name in ("task", "predicted", "gold"))
        given = (
            f"{task}, predicted {[round(float(p), 3) for p in predicted]}, gold {[round(float(g), 3) for g in gold]}"
        )
        if task == "sst3" or len(predicted) != len(gold) or not gold:
            reason = "there is no such task" if task == "sst3" else "empty lists" if not gold else "unlike lengths"
            return right() if answer["refused"] is not None else wrong(f"{reason}: a ValueError was asked; {given}")
        if answer["refused"] is not None:
            return wrong(f"a ValueError was raised: {answer['refused']}; {given}")
        if not answer["intact"]:
            return wrong(f"a list was changed by the call; {given}")
        value = answer["value"]
        want, suspects = self._expected(task, np.array(predicted), np.array(gold))
        if math.isnan(value):
            return wrong(f"NaN: 0 was divided by 0, where the card says 0.0; {given}")
        if not close(value, want):
            return name_the_mistake(
                value, [(v, f"{words}; {given}") for v, words in suspects], f"{value:.4f} is not the metric; {given}"
            )
        return (
            right() if answer["kind"] == "float" else wrong(f"a Python float was asked, not {answer['kind']}; {given}")
        )

    @staticmethod
    def _expected(task: str, predicted: np.ndarray, gold: np.ndarray) -> tuple[float, list[tuple[Any, str]]]:
        share = float((predicted == gold).mean())
        if task == "stsb":
            pearson = correlation(predicted, gold)
            want = correlation(ranks(predicted.tolist()), ranks(gold.tolist()))
            if len(set(predicted.tolist())) < 2 or len(set(gold.tolist())) < 2:
                return 0.0, [
                    (value, "a constant list has no order, so this is 0.0 by the card") for value in (1.0, -1.0)
                ]
            words = "equal values share the mean of their ranks"
            others = [
                (correlation(ranks(predicted.tolist(), t), ranks(gold.tolist(), t)), f"ties are ranked {t}; {words}")
                for t in ("in turn", "min", "max", "dense")
            ]
            return want, [
                (pearson, "this is Pearson's correlation of the values; Spearman's is that of the ranks"),
                *others,
            ]
        if task not in ("mrpc", "qqp", "cola"):
            return share, [(1 - share, "this is the share of errors")]

        def f1(label: int) -> float:
            hits = int(((predicted == label) & (gold == label)).sum())
            claimed, true = int((predicted == label).sum()), int((gold == label).sum())
            if not hits:
                return 0.0
            return 2 / (claimed / hits + true / hits)

        hits, claimed, true = ((predicted * gold).sum(), predicted.sum(), gold.sum())
        precision, recall = hits / max(claimed, 1), hits / max(true, 1)
        nothing = [] if claimed or true else [(1.0, "nothing to find and nothing found is 0.0 by the card")]
        named = [
            *nothing,
            (share, "this is accuracy"),
            ((f1(0) + f1(1)) / 2, "this is the mean of F1 over both classes; asked is that of class 1"),
            (f1(0), "this is F1 of class 0; asked is class 1"),
            (precision, "this is precision alone"),
            (recall, "this is recall alone"),
            ((precision + recall) / 2, "precision and recall have a harmonic mean here, not the usual one"),
            (correlation(predicted, gold), "this is Matthews' correlation"),
        ]
        if task == "cola":
            return correlation(predicted, gold), [(f1(1), "this is F1"), *named]
        return f1(1), named

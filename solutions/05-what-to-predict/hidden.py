"""The hidden checks of chapter 5: what a right answer must do, and what each wrong one is told.

What is drawn at random is judged by counts, at odds of less than one in a million; what is not drawn is built here
again by another route. Special tokens stand inside the rows and above the ordinary ids, documents differ in length,
and padding of the target has the id of the decoder's first token in one case.
"""

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from grader.comparing import close, name_the_mistake
from grader.hidden import Case, HiddenCheck, Verdict, right, wrong

FAR = 5.2  # standard deviations: about 2 in ten million


def off(count: float, n: float, p: float) -> bool:
    """Whether `count` of `n` cannot come from chance `p`."""
    return abs(count - n * p) > FAR * math.sqrt(n * p * (1 - p)) + 0.5


def uneven(counts: Sequence[float], expected: Sequence[float]) -> bool:
    """Pearson's test, with the threshold of Wilson and Hilferty."""
    got, want = np.asarray(counts, dtype=float), np.asarray(expected, dtype=float)
    freedom = len(got) - 1
    limit = freedom * (1 - 2 / (9 * freedom) + FAR * math.sqrt(2 / (9 * freedom))) ** 3
    return bool(((got - want) ** 2 / want).sum() > limit)


# -------------------------------------------------------------------------------- 5.1 masked tokens


class MlmCorrupt(HiddenCheck):
    """5.1: 20,000 tokens at two rates, a third of them special; small batches where everything or nothing is chosen."""

    exercise = "mlm-corrupt"
    uses = ("mlm_corrupt",)
    criteria = {"who is chosen": 1.5, "80/10/10": 1.5, "labels and inputs": 1.0}
    forbids = {"spoil_by_counts": "the stand-in draws from the batch, not from the vocabulary: write your own"}

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Special ids below, among and above the ordinary ones; the mask is not listed among them in one case."""
        for p, special, mask_id in ((0.15, [0, 2, 9, 16], 5), (0.4, [0, 5, 15, 16], 5)):
            ids = rng.integers(0, 17, size=(40, 500))
            ids[:, 0] = special[1]
            inputs = {
                "input_ids": np.where(rng.random(ids.shape) < 0.1, special[-1], ids),
                "p": p,
                "special": special,
                "mask_id": mask_id,
                "vocab_size": 17,
                "seed": int(rng.integers(1 << 30)),
            }
            for criterion in self.criteria:
                yield Case(criterion, inputs)
        for p in (0.0, 1.0):
            ids = rng.integers(0, 9, size=(2, 7))
            ids[:, 3] = 1, 8  # with nothing special among them every place is asked for
            small = {
                "input_ids": ids.astype(np.int32 if p else np.int64),
                "p": p,
                "special": [1, 8],
                "mask_id": 8,
                "vocab_size": 9,
                "seed": int(rng.integers(1 << 30)),
            }
            yield Case("who is chosen", small)
            yield Case("labels and inputs", small)

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """Spoiled ids and labels, and again from the same and from another state of the generator."""
        import torch

        ids = torch.tensor(inputs["input_ids"])
        special = set(inputs["special"])
        state = torch.random.get_rng_state()

        def call(seed):
            rng = torch.Generator().manual_seed(seed)
            return student.mlm_corrupt(ids, inputs["p"], special, inputs["mask_id"], inputs["vocab_size"], rng)

        first, again, other = call(inputs["seed"]), call(inputs["seed"]), call(inputs["seed"] + 1)
        return {
            "spoiled": first[0].clone(),
            "labels": first[1].clone(),
            "same": bool((first[0] == again[0]).all() and (first[1] == again[1]).all()),
            "differs": bool((first[0] != other[0]).any()),
            "intact": bool((ids == torch.tensor(inputs["input_ids"])).all()) and special == set(inputs["special"]),
            "quiet": bool((state == torch.random.get_rng_state()).all()),
        }

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Inputs, shapes, then who was chosen, what became of them, and what the labels say."""
        ids, p, mask_id = (case.inputs[name] for name in ("input_ids", "p", "mask_id"))
        spoiled, labels = answer["spoiled"], answer["labels"]
        never = {*case.inputs["special"], mask_id}
        size = case.inputs["vocab_size"]
        given = f"ids {ids.shape}, p={p}, special {sorted(never)}, mask_id={mask_id}, vocab_size={size}"
        if not answer["intact"]:
            return wrong(f"an input was changed by the call: spoil a copy; {given}")
        if not answer["same"] or not answer["quiet"]:
            return wrong(f"the same rng gave two results: draw everything from rng, nothing from torch's own; {given}")
        for name, got in (("spoiled ids", spoiled), ("labels", labels)):
            if getattr(got, "shape", None) != ids.shape or got.dtype != ids.dtype:
                return wrong(f"the {name} have not the shape and dtype of the ids, {ids.shape} {ids.dtype}; {given}")
        ordinary = ~np.isin(ids, sorted(never))
        chosen, changed = labels != -100, spoiled != ids
        if case.criterion == "labels and inputs":
            return self._labels(ids, changed, chosen, labels, ordinary, given)
        if (chosen & ~ordinary).any() or (changed & ~ordinary).any():
            return wrong(f"special tokens were chosen: they are never asked for; {given}")
        if case.criterion == "who is chosen":
            return self._chosen(chosen | changed, chosen, ordinary, p, given)
        return self._fates(case, spoiled, chosen | changed, ordinary, given, answer["differs"])

    @staticmethod
    def _labels(
        ids: np.ndarray, changed: np.ndarray, chosen: np.ndarray, labels: np.ndarray, ordinary: np.ndarray, given: str
    ) -> Verdict:
        if (changed & ~chosen).any():
            return wrong(f"a token was changed and has no label: the model would never be asked for it; {given}")
        if chosen.all() or (chosen & ~ordinary).sum() > 0.5 * (~ordinary).sum() > 0:
            return wrong(f"labels stand everywhere: where nothing is asked they are -100; {given}")
        if (labels[chosen] != ids[chosen]).any():
            return wrong(f"a label is not the token that stood there before; {given}")
        if ordinary.sum() > 1000 and (changed == chosen).all():
            return wrong(f"tokens that were chosen and kept have no label: they are asked for too; {given}")
        return right()

    @staticmethod
    def _chosen(touched: np.ndarray, labelled: np.ndarray, ordinary: np.ndarray, p: float, given: str) -> Verdict:
        n, count = int(ordinary.sum()), int((labelled & ordinary).sum())
        if p in (0.0, 1.0):
            if (touched & ordinary).sum() != n * p:
                return wrong(f"p={p} should choose {'every' if p else 'no'} ordinary token; {given}")
            return right()
        if off(count, n, p):
            whole = ordinary.size
            for share, words in (
                (p * 0.9, "those kept are not among the labelled: the chosen are fewer than p says"),
                (p * whole / n, "p is the share of ordinary tokens, not of all"),
                (1 - p, "p is the chance to be chosen, not to be left alone"),
            ):
                if share < 1 and not off(count, n, share):
                    return wrong(f"{words}; {count} of {n} were labelled; {given}")
            return wrong(f"{count} of {n} ordinary tokens were labelled, which chance p does not give; {given}")
        columns, eligible = (labelled & ordinary).sum(0), ordinary.sum(0)
        if any(off(got, room, p) for got, room in zip(columns, eligible, strict=True) if room * p * (1 - p) > 3):
            return wrong(f"all rows were chosen at the same places: draw for every token; {given}")
        rows, eligible = (labelled & ordinary).sum(1), ordinary.sum(1)
        if any(off(got, room, p) for got, room in zip(rows, eligible, strict=True)):
            return wrong(f"some rows have far more chosen tokens than others: draw for every token; {given}")
        return right()

    @staticmethod
    def _fates(
        case: Case, spoiled: np.ndarray, chosen: np.ndarray, ordinary: np.ndarray, given: str, differs: bool
    ) -> Verdict:
        ids, mask_id, size = (case.inputs[name] for name in ("input_ids", "mask_id", "vocab_size"))
        allowed = [i for i in range(size) if i not in {*case.inputs["special"], mask_id}]
        n = int(chosen.sum())
        masked = int((spoiled == mask_id)[chosen].sum())
        kept = int((spoiled == ids)[chosen].sum())
        drawn = spoiled[chosen & (spoiled != ids) & (spoiled != mask_id)]
        told = f"of {n} labelled, {masked} masked, {len(drawn)} replaced, {kept} kept; {given}"
        if not differs:
            return wrong(f"another state of rng gave the same: draw from rng, without a seed of your own; {told}")
        if off(masked, n, 0.8):
            if off(masked, n, 0.8 * 8 / 9) is False or masked == n:
                return wrong(f"80 % of the chosen become the mask, not all of them; {told}")
            return wrong(f"80 % of the chosen become the mask; {told}")
        if not set(drawn.tolist()) <= set(allowed):
            return wrong(f"a random token is a special one: draw among the ordinary ids; {told}")
        lucky = 1 / len(allowed)  # drawn at random and the same as before
        if off(kept, n, 0.1 + 0.1 * lucky):
            for share, words in (
                (0.18, "10 % of the chosen become random, not 10 % of those left over"),
                (0.02, "10 % of the chosen stay, not 10 % of those left over"),
                (0.0, "none stays: 10 % of the chosen keep their token"),
                (0.2, "none becomes random: 10 % of the chosen get another token"),
            ):
                if not off(kept, n, share + (0.2 - share) * lucky):
                    return wrong(f"{words}; {told}")
            return wrong(f"random and kept are not 10 % each; {told}")
        before = Counter(ids[chosen].tolist())
        expected = [0.1 * lucky * (n - before[i]) for i in allowed]
        counts = Counter(drawn.tolist())
        if uneven([counts[i] for i in allowed], expected):
            return wrong(f"random tokens are not equally likely among the {len(allowed)} ordinary ids; {told}")
        return right()


# ---------------------------------------------------------------------------------- 5.2 MLM logits


class MlmLogits(HiddenCheck):
    """5.2: rows that ask for different places, unsorted and repeated; multiplications are counted."""

    exercise = "mlm-logits"
    uses = ("mlm_logits",)
    criteria = {"values": 1.0, "only what is asked": 0.5, "gradient and inputs": 0.5}
    forbids = {"logits_everywhere": "that is the detour: it multiplies all places"}

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """(batch, seq, masked, d_model, vocab): all different; a vocabulary as large as the width; one of each."""
        for sizes in ((3, 7, 4, 5, 11), (2, 5, 3, 6, 6), (1, 1, 1, 2, 3), (4, 9, 9, 3, 4)):
            yield Case("values", self._draw(rng, *sizes))
        yield Case("values", {**self._draw(rng, 2, 6, 3, 4, 5), "positions": np.array([[5, 0, 5], [2, 2, 1]])})
        yield Case("only what is asked", self._draw(rng, 2, 60, 3, 8, 70))
        yield Case("gradient and inputs", {**self._draw(rng, 2, 6, 4, 5, 7), "upstream": rng.normal(size=(2, 4, 7))})

    @staticmethod
    def _draw(rng: np.random.Generator, batch: int, seq: int, masked: int, d_model: int, vocab: int) -> dict[str, Any]:
        return {
            "hidden": rng.normal(size=(batch, seq, d_model)),
            "positions": rng.integers(0, seq, size=(batch, masked)),
            "weight": rng.normal(size=(vocab, d_model)),
            "bias": rng.normal(size=vocab),
        }

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The logits, the multiplications counted by torch, the inputs afterwards, and gradients."""
        import torch
        from torch.utils.flop_counter import FlopCounterMode

        names = ("hidden", "weight", "bias")
        given = {name: torch.tensor(inputs[name], requires_grad="upstream" in inputs) for name in names}
        positions = torch.tensor(inputs["positions"])
        counter = FlopCounterMode(display=False)
        with counter:
            out = student.mlm_logits(given["hidden"], positions, given["weight"], given["bias"])
        intact = bool((positions == torch.tensor(inputs["positions"])).all())
        intact = intact and all(bool((given[name] == torch.tensor(inputs[name])).all()) for name in names)
        gradients = None
        if "upstream" in inputs and out.requires_grad:
            (out * torch.tensor(inputs["upstream"])).sum().backward()
            gradients = [given[name].grad for name in names]
        return {"out": out, "flops": counter.get_total_flops(), "intact": intact, "gradients": gradients}

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Inputs, shape, values by loops, then work and gradient."""
        hidden, positions, weight, bias = (case.inputs[name] for name in ("hidden", "positions", "weight", "bias"))
        (batch, seq, d_model), masked, vocab = hidden.shape, positions.shape[1], len(weight)
        given = f"hidden {hidden.shape}, positions {positions.tolist()}, weight {weight.shape}"
        if not answer["intact"]:
            return wrong(f"an input was changed by the call; {given}")
        want = self._at(hidden, positions) @ weight.T + bias
        if getattr(answer["out"], "shape", None) != want.shape:
            return wrong(
                f"the logits have shape {getattr(answer['out'], 'shape', None)}, {want.shape} was asked: a row of "
                f"logits for each place that is asked for; {given}"
            )
        if not close(answer["out"], want):
            return name_the_mistake(
                answer["out"],
                self._suspects(hidden, positions, weight, bias, given),
                f"these are not the logits of the places asked for; {given}",
            )
        if case.criterion == "only what is asked" and answer["flops"] > batch * seq * d_model * vocab:
            return wrong(
                f"all {seq} places were multiplied with the vocabulary, though {masked} are asked for: take the "
                f"states first; {given}"
            )
        if "upstream" not in case.inputs:
            return right()
        if answer["gradients"] is None or any(gradient is None for gradient in answer["gradients"]):
            return wrong(f"no gradient reaches hidden, weight or bias: the graph was cut; {given}")
        upstream = case.inputs["upstream"]
        at_hidden = np.zeros_like(hidden)
        for row, place in itertools.product(range(batch), range(masked)):
            at_hidden[row, positions[row, place]] += upstream[row, place] @ weight
        at_weight = np.einsum("bmv,bmd->vd", upstream, self._at(hidden, positions))
        for got, expected in zip(answer["gradients"], (at_hidden, at_weight, upstream.sum((0, 1))), strict=True):
            if not close(got, expected):
                return wrong(f"the gradient of one input is not that of these logits; {given}")
        return right()

    @staticmethod
    def _at(hidden: np.ndarray, positions: np.ndarray) -> np.ndarray:
        return np.stack([row[places] for row, places in zip(hidden, positions, strict=True)])

    def _suspects(
        self, hidden: np.ndarray, positions: np.ndarray, weight: np.ndarray, bias: np.ndarray, given: str
    ) -> Iterable[tuple[Any, str]]:
        states = self._at(hidden, positions)
        yield states @ weight.T, f"the bias is missing; {given}"
        yield (
            hidden.reshape(-1, hidden.shape[-1])[positions] @ weight.T + bias,
            f"the places of every row were looked up in the first: each row has its own states; {given}",
        )
        yield (
            hidden[:, positions[0]] @ weight.T + bias,
            f"the places of the first row were used for all rows; {given}",
        )
        if weight.shape[0] == weight.shape[1]:
            yield (
                states @ weight + bias,
                f"multiplied with W itself: states are rows, so the product is with W transposed; {given}",
            )
        if positions.shape[1] <= hidden.shape[1]:
            yield (
                hidden[:, : positions.shape[1]] @ weight.T + bias,
                f"these are the first places, not those asked for; {given}",
            )
        yield (
            self._at(hidden, np.sort(positions, axis=1)) @ weight.T + bias,
            f"the places were sorted: answer in the order in which they are asked; {given}",
        )
        yield (
            self._at(hidden, np.roll(positions, 1, axis=0)) @ weight.T + bias,
            f"rows and places are mixed up; {given}",
        )


# --------------------------------------------------------------------------------- 5.3 sentence pairs

CLS, SEP = 7, 8


class NspPairs(HiddenCheck):
    """5.3: every token tells its document, sentence and place; documents of one sentence and of none."""

    exercise = "nsp-pairs"
    uses = ("nsp_pairs",)
    criteria = {"layout": 1.0, "strangers": 1.0, "too long": 1.0}
    forbids = {"pairs_in_turn": "the stand-in takes turns and cuts nothing: write your own"}

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Roomy and tight; many documents, and two."""
        yield Case("layout", self._draw(rng, [4, 1, 3, 0, 6], 99, 20))
        yield Case("layout", {**self._draw(rng, [3, 3], 99, 20), "ids": [101, 102], "defaults": True})
        yield Case("strangers", self._draw(rng, [150, 2, 90, 1, 200, 60], 99, 4))
        yield Case("strangers", self._draw(rng, [2] * 300, 99, 4))
        for max_len, longest in ((5, 4), (12, 20), (15, 20), (16, 9)):
            yield Case("too long", self._draw(rng, [5, 1, 7, 4], max_len, longest))

    @staticmethod
    def _draw(rng: np.random.Generator, sizes: Sequence[int], max_len: int, longest: int) -> dict[str, Any]:
        docs = [
            [
                [1_000_000 * (number + 1) + 1000 * place + k for k in range(int(rng.integers(1, longest + 1)))]
                for place in range(size)
            ]
            for number, size in enumerate(sizes)
        ]
        return {"docs": docs, "max_len": max_len, "ids": [CLS, SEP], "seed": int(rng.integers(1 << 30))}

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The pairs as lists, drawn twice from the same state, and whether anything else was touched."""
        import copy
        import random

        docs = copy.deepcopy(inputs["docs"])
        state = random.getstate()

        def call():
            rng = random.Random(inputs["seed"])
            if inputs.get("defaults"):
                return student.nsp_pairs(docs, inputs["max_len"], rng)
            cls_id, sep_id = inputs["ids"]
            return student.nsp_pairs(docs, inputs["max_len"], rng, cls_id=cls_id, sep_id=sep_id)

        pairs = [[list(ids), list(segments), bool(is_next)] for ids, segments, is_next in call()]
        again = [[list(ids), list(segments), bool(is_next)] for ids, segments, is_next in call()]
        return {
            "pairs": pairs,
            "same": pairs == again and state == random.getstate(),
            "intact": docs == inputs["docs"],
        }

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Inputs, number and layout of pairs, where each second sentence comes from, and what was cut."""
        docs, max_len, (cls_id, sep_id) = (case.inputs[name] for name in ("docs", "max_len", "ids"))
        given = f"documents of {[len(doc) for doc in docs][:8]} sentences, max_len={max_len}"
        if not answer["intact"]:
            return wrong(f"the documents were changed by the call; {given}")
        if not answer["same"]:
            return wrong(f"the same rng gave two results: draw everything from rng, nothing from random's own; {given}")
        firsts = [(number, place) for number, doc in enumerate(docs) for place in range(len(doc) - 1)]
        if len(answer["pairs"]) != len(firsts):
            return wrong(
                f"{len(answer['pairs'])} pairs came back, {len(firsts)} were asked: one for every sentence that has "
                f"a successor; {given}"
            )
        taken = []
        for (ids, segments, is_next), (number, place) in zip(answer["pairs"], firsts, strict=True):
            shown = f"[{', '.join('CLS' if i == cls_id else 'SEP' if i == sep_id else '.' for i in ids)}]"
            if ids[0] != cls_id or ids.count(cls_id) != 1:
                return wrong(f"a pair begins with [CLS], once: {shown}; {given}")
            if ids.count(sep_id) != 2 or ids[-1] != sep_id:
                return wrong(f"[SEP] stands behind both sentences, also when they are cut: {shown}; {given}")
            middle = ids.index(sep_id)
            first, second = ids[1:middle], ids[middle + 1 : -1]
            if not first or not second:
                return wrong(f"a sentence has lost all its tokens: {shown}; {given}")
            if len(ids) > max_len:
                return wrong(f"{len(ids)} tokens with the three special ones are more than max_len; {given}")
            wanted = [0] * (middle + 1) + [1] * (len(ids) - middle - 1)
            if segments != wanted:
                if len(segments) == len(ids) and segments[middle] == 1 and segments[:middle] == wanted[:middle]:
                    return wrong(f"the first [SEP] belongs to segment 0: it closes the first sentence; {given}")
                return wrong(f"segments are 0 up to the first [SEP], then 1, one for each id; {given}")
            own = docs[number][place]
            if first != own[: len(first)]:
                return wrong(f"the first sentence is not the next one of the text, from its beginning; {given}")
            other, sentence = divmod(second[0], 1_000_000)
            other, sentence = other - 1, sentence // 1000
            if not (0 <= other < len(docs) and sentence < len(docs[other])):
                return wrong(f"the second sentence does not begin with a sentence's first token; {given}")
            whole = docs[other][sentence]
            if second != whole[: len(second)]:
                return wrong(f"the second sentence lost tokens elsewhere than at its end; {given}")
            taken.append((number, place, other, sentence, is_next, own, whole, first, second))
        if case.criterion == "too long":
            return self._cut(taken, max_len, given)
        for number, place, other, sentence, is_next, own, whole, first, second in taken:
            if len(first) < len(own) or len(second) < len(whole):
                return wrong(f"a sentence was cut though there was room; {given}")
            follows = (other, sentence) == (number, place + 1)
            if follows and not is_next:
                return wrong(f"a pair is called a stranger, but the second sentence is the true successor; {given}")
            if is_next and not follows:
                return wrong(f"is_next is True, but the second sentence is not the successor; {given}")
            if not is_next and other == number:
                return wrong(f"a stranger comes from the same document: take one from another document; {given}")
        return self._strangers(docs, taken, given) if case.criterion == "strangers" else right()

    @staticmethod
    def _strangers(docs: Sequence[Any], taken: Sequence[Any], given: str) -> Verdict:
        n, nexts = len(taken), sum(pair[4] for pair in taken)
        if off(nexts, n, 0.5):
            return wrong(f"{nexts} of {n} pairs are true ones, which is not half; {given}")
        repeats = sum(a[4] == b[4] for a, b in itertools.pairwise(taken))
        if off(repeats, n - 1, 0.5):
            return wrong(f"true and false take turns: toss a coin for every pair; {given}")
        if len(docs) > 10:
            ahead = sum((pair[2] - pair[0]) % len(docs) == 1 for pair in taken if not pair[4])
            if ahead > 30:
                return wrong(f"strangers come from the document next door: any other is as likely; {given}")
            return right()
        lengths = [len(doc) for doc in docs]
        for number in (0, 2, 4):
            strangers = [pair for pair in taken if not pair[4] and pair[0] == number]
            others = [k for k in range(len(docs)) if k != number]
            counts = Counter(pair[2] for pair in strangers)
            if uneven([counts[k] for k in others], [len(strangers) / len(others)] * len(others)):
                total = sum(lengths[k] for k in others)
                by_sentence = [len(strangers) * lengths[k] / total for k in others]
                if not uneven([counts[k] for k in others], by_sentence):
                    return wrong(f"long documents give more strangers: choose the document first; {given}")
                return wrong(f"the other documents are not equally likely; {given}")
        halves = Counter(pair[3] < lengths[pair[2]] // 2 for pair in taken if not pair[4] and lengths[pair[2]] >= 50)
        if off(halves[True], halves.total(), 0.5):
            return wrong(f"within a document not every sentence is as likely as the others; {given}")
        openers = sum(pair[3] == 0 for pair in taken if not pair[4] and lengths[pair[2]] >= 50)
        enders = sum(pair[3] == lengths[pair[2]] - 1 for pair in taken if not pair[4] and lengths[pair[2]] == 2)
        both = sum(not pair[4] and lengths[pair[2]] == 2 for pair in taken)
        if openers > 30 or off(enders, both, 0.5):
            return wrong(f"within a document not every sentence is as likely as the others; {given}")
        return right()

    @staticmethod
    def _cut(taken: Sequence[Any], max_len: int, given: str) -> Verdict:
        room = max_len - 3
        for *_, own, whole, first, second in taken:
            got, lengths = (len(first), len(second)), (len(own), len(whole))
            if got == _shortened(*lengths, room):
                continue
            told = f"sentences of {len(own)} and {len(whole)} tokens became {got[0]} and {got[1]}; {given}"
            if len(first) + len(second) < min(room, len(own) + len(whole)):
                return wrong(f"more was cut than necessary: three places are for the special tokens; {told}")
            if got == _shortened(*lengths, room, ties=True):
                return wrong(f"between sentences of equal length the second one loses a token; {told}")
            if len(first) == min(len(own), room - 1):
                return wrong(f"only the second sentence is cut; take from the longer one; {told}")
            if len(second) == min(len(whole), room - 1):
                return wrong(f"only the first sentence is cut; take from the longer one; {told}")
            return wrong(f"each token is taken from the sentence that is longer at that moment; {told}")
        return right()


def _shortened(a: int, b: int, room: int, ties: bool = False) -> tuple[int, int]:
    """What is left of two lengths; with `ties` the first one loses where both are equal."""
    while a + b > room:
        a, b = (a - 1, b) if a > b or (ties and a == b) else (a, b - 1)
    return a, b


# ------------------------------------------------------------------------------------- 5.4 span masks


class SpanMask(HiddenCheck):
    """5.4: thousands of masks; counts are exact, places and lengths are counted."""

    exercise = "span-mask"
    uses = ("span_mask",)
    criteria = {"how many": 0.5, "spans": 0.75, "every place alike": 0.75}
    forbids = {"spans_of_t5": "the stand-in never masks the first place: write your own"}

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """(seq, p, mean_len): whole and broken numbers of places and spans; nothing and everything."""
        for seq, p, mean_len, count in (
            (40, 0.15, 3.0, 200),
            (30, 0.5, 2.5, 200),
            (7, 0.3, 2.0, 100),
            (20, 0.2, 4.0, 50),
            (10, 0.1, 3.0, 30),
            (8, 0.25, 1.0, 50),
        ):
            for criterion in ("how many", "spans"):
                yield Case(criterion, self._with(rng, seq, p, mean_len, count))
        for seq, p in ((9, 0.0), (9, 1.0), (1, 1.0), (1, 0.0)):
            yield Case("how many", self._with(rng, seq, p, 3.0, 3))
        for seq, p, mean_len in ((20, 0.15, 3.0), (12, 0.5, 3.0)):
            yield Case("every place alike", self._with(rng, seq, p, mean_len, 2500))

    @staticmethod
    def _with(rng: np.random.Generator, seq: int, p: float, mean_len: float, count: int) -> dict[str, Any]:
        return {"seq": seq, "p": p, "mean_len": mean_len, "count": count, "seed": int(rng.integers(1 << 30))}

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """All masks as one array, drawn one after the other; the first drawn again from the same state."""
        import torch

        rng = torch.Generator().manual_seed(inputs["seed"])
        state = torch.random.get_rng_state()
        sizes = inputs["seq"], inputs["p"], inputs["mean_len"]
        masks = [student.span_mask(*sizes, rng) for _ in range(inputs["count"])]
        again = student.span_mask(*sizes, torch.Generator().manual_seed(inputs["seed"]))
        shapes = sorted({str((tuple(mask.shape), str(mask.dtype))) for mask in masks})
        quiet = bool((state == torch.random.get_rng_state()).all())
        same = quiet and masks[0].shape == again.shape and bool((masks[0] == again).all())
        return {"masks": torch.stack(masks) if len(shapes) == 1 else None, "shapes": shapes, "same": same}

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Shape, number, spans on the ring, then each place's share."""
        seq, p, mean_len, count = (case.inputs[name] for name in ("seq", "p", "mean_len", "count"))
        given = f"span_mask(seq={seq}, p={p}, mean_len={mean_len})"
        masks = answer["masks"]
        if masks is None or masks.shape != (count, seq) or masks.dtype != np.bool_:
            return wrong(f"a mask is boolean with shape ({seq},), these are {answer['shapes'][:2]}; {given}")
        if not answer["same"]:
            return wrong(f"the same rng gave two masks: draw everything from rng, nothing from torch's own; {given}")
        totals = masks.sum(1)
        # the rate first: whoever misses it fails all criteria alike, whatever the spans look like
        if case.criterion == "how many":
            return self._number(totals, masks, p, seq, given)
        if case.criterion == "spans":
            return self._spans(masks, totals, mean_len, given)
        shares = masks.sum(0)
        if any(off(got, count, p) for got in shares):
            low, high = int(shares.argmin()), int(shares.argmax())
            if shares[-1] == count:
                return wrong(f"the last place is masked every time; {given}")
            if shares[0] == 0:
                return wrong(f"the first place is never masked; {given}")
            if (masks == masks[0]).all():
                return wrong(f"every call gives the same mask: draw from rng, without a seed of your own; {given}")
            if max(shares[0], shares[-1]) < shares[1:-1].min() or low in (0, seq - 1):
                return wrong(f"places near the ends are masked less often: let spans run over the end; {given}")
            return wrong(
                f"place {high} is masked {shares[high]} times in {count}, place {low} {shares[low]} times; {given}"
            )
        return right()

    @staticmethod
    def _number(totals: np.ndarray, masks: np.ndarray, p: float, seq: int, given: str) -> Verdict:
        if (abs(totals - p * seq) < 1 - 1e-9).all():
            return right()
        if p in (0.0, 1.0):
            return wrong(f"p={p} masks {'every' if p else 'no'} place, {int(totals[0])} of {seq} came; {given}")
        spread = f"between {totals.min()} and {totals.max()} places came"
        if totals.max() < p * seq + 1:
            return wrong(f"too few places: spans overlap, or short ones are lost; {spread}; {given}")
        if totals.min() > p * seq - 1:
            return wrong(f"too many places: the last span is not cut to what is left; {spread}; {given}")
        return wrong(f"the number of places is p * seq, rounded down or up, not a matter of luck; {spread}; {given}")

    @staticmethod
    def _spans(masks: np.ndarray, totals: np.ndarray, mean_len: float, given: str) -> Verdict:
        runs = (masks & ~np.roll(masks, 1, axis=1)).sum(1)
        wanted = totals / mean_len
        fits = (abs(runs - wanted) < 1 - 1e-9) | ((wanted < 1) & (runs == 1))
        if not fits.all():
            bad = int(np.flatnonzero(~fits)[0])
            told = f"{totals[bad]} places came in {runs[bad]} spans; {given}"
            single = totals.sum() / max(runs.sum(), 1)
            if single < 0.75 * mean_len:
                return wrong(f"places were chosen one by one, or spans too short: mean_len is their mean; {told}")
            if single > 1.15 * mean_len:
                return wrong(f"spans touch or overlap, so that two look like one; {told}")
            return wrong(f"the number of spans is that of the places over mean_len, rounded; {told}")
        if (runs > 1).mean() < 0.5:
            return right()
        lengths, gaps = _runs(masks), _runs(~masks)
        if mean_len > 1 and (len(lengths) < 2 or max(lengths) <= mean_len or min(lengths) >= mean_len):
            return wrong(f"all spans have the same length: lengths are drawn, mean_len is their mean; {given}")
        if len(gaps) < 3:
            return wrong(f"the gaps between spans are always the same: places are drawn, too; {given}")
        return right()


def _runs(masks: np.ndarray) -> Counter[int]:
    """How often each length of a run of True occurs, rows joined at their ends."""
    found: Counter[int] = Counter()
    for row in masks:
        if row.any() and not row.all():
            turned = np.roll(row, -int(np.flatnonzero(~row)[0]))
            found.update(sum(1 for _ in group) for value, group in itertools.groupby(turned) if value)
    return found


# -------------------------------------------------------------------------------- 5.5 span corruption


class SpanCorrupt(HiddenCheck):
    """5.5: spans inside, at both ends, everywhere and nowhere; built again by grouping."""

    exercise = "span-corrupt"
    uses = ("span_corrupt",)
    criteria = {"sentinels": 1.5, "at the ends": 1.0, "nothing and everything": 0.5}
    forbids = {"spans_without_end": "the stand-in writes no end: write your own"}

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Masks as strings; ids drawn with repetitions."""
        patterns = {
            "sentinels": (".##..#...", "..#.#.###..", ".#.", ".####.##."),
            "at the ends": ("##..#.", "..#..##", "#.#", "#..##..#"),
            "nothing and everything": ("....", "###", "#", ".", ""),
        }
        for criterion, masks in patterns.items():
            for mask in masks:
                yield Case(
                    criterion,
                    {
                        "ids": rng.integers(10, 15, size=len(mask)),
                        "mask": np.array([sign == "#" for sign in mask], dtype=bool),
                        "sentinel0": int(rng.integers(90, 99)),
                        "eos": 1,
                    },
                )

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """Inputs and targets; the arguments afterwards."""
        import torch

        ids, mask = torch.tensor(inputs["ids"]), torch.tensor(inputs["mask"])
        read, write = student.span_corrupt(ids, mask, inputs["sentinel0"], inputs["eos"])
        intact = bool((ids == torch.tensor(inputs["ids"])).all() and (mask == torch.tensor(inputs["mask"])).all())
        return {"inputs": read, "targets": write, "intact": intact}

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Type, then both sequences against each misreading."""
        ids, mask, first, eos = (case.inputs[name] for name in ("ids", "mask", "sentinel0", "eos"))
        given = f"ids {ids.tolist()}, mask {mask.astype(int).tolist()}, sentinel0={first}, eos={eos}"
        if not answer["intact"]:
            return wrong(f"an input was changed by the call; {given}")
        for name in ("inputs", "targets"):
            got = answer[name]
            if getattr(got, "dtype", None) != np.int64 or got.ndim != 1:
                return wrong(f"the {name} are a tensor of whole numbers with one axis; {given}")
        got = (answer["inputs"].tolist(), answer["targets"].tolist())
        if got == t5(ids, mask, first, eos):
            return right()
        for words, changes in (
            ("every masked token got a sentinel: a span has one", {"single": True}),
            ("all spans got the same sentinel: nobody could tell them apart", {"step": 0}),
            ("sentinels count down from sentinel0, not up", {"step": 1}),
            ("the targets lack the last sentinel, which says that no span follows", {"closing": False}),
            ("inputs and targets both end with eos", {"ends": ()}),
            ("inputs and targets both end with eos", {"ends": ("targets",)}),
            ("inputs and targets both end with eos", {"ends": ("inputs",)}),
            ("the last sentinel stands in the inputs, too; it belongs to the targets", {"echo": True}),
            ("the targets hold the spans without their sentinels", {"marked": False}),
            ("the mask is turned round: True means that the token is taken out", {"inverted": True}),
        ):
            if got == t5(ids, mask, first, eos, **changes):
                return wrong(f"{words}; you gave {got}; {given}")
        part = "inputs" if got[0] != t5(ids, mask, first, eos)[0] else "targets"
        return wrong(f"the {part} are not what span corruption makes; you gave {got[part == 'targets']}; {given}")


def t5(
    ids: np.ndarray,
    mask: np.ndarray,
    first: int,
    eos: int,
    *,
    single: bool = False,
    step: int = -1,
    closing: bool = True,
    ends: Sequence[str] = ("inputs", "targets"),
    echo: bool = False,
    marked: bool = True,
    inverted: bool = False,
) -> tuple[list[int], list[int]]:
    """Inputs and targets by grouping; the settings are the ways to get it wrong."""
    mask = ~mask if inverted else mask
    keys = [(bool(flag), place if flag and single else -1) for place, flag in enumerate(mask)]
    sentinels = itertools.count(first, step) if step else itertools.repeat(first)
    read: list[int] = []
    write: list[int] = []
    for (flag, _), group in itertools.groupby(zip(keys, ids.tolist(), strict=True), key=lambda pair: pair[0]):
        tokens = [token for _, token in group]
        if flag:
            sentinel = next(sentinels)
            read.append(sentinel)
            write += [sentinel, *tokens] if marked else tokens
        else:
            read += tokens
    last = next(sentinels)
    read += [last] * echo + [eos] * ("inputs" in ends)
    write += [last] * closing + [eos] * ("targets" in ends)
    return read, write


# ----------------------------------------------------------------------------------- 5.6 text infilling


class TextInfill(HiddenCheck):
    """5.6: spans in any order, touching, at both ends, of length zero; each case has one of those."""

    exercise = "text-infill"
    uses = ("text_infill",)
    criteria = {"spans": 0.5, "zero length": 0.5}
    forbids = {"infill_long_spans": "the stand-in skips spans of length zero: write your own"}

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """(length of the text, spans)."""
        for seq, spans in (
            (9, [(5, 2), (1, 3)]),
            (6, [(0, 2), (4, 2)]),
            (7, [(4, 1), (2, 2)]),
            (4, [(0, 4)]),
            (5, []),
            (8, [(6, 1), (1, 1), (3, 2)]),
        ):
            yield Case("spans", self._with(rng, seq, spans))
        for seq, spans in (
            (6, [(4, 0), (1, 2)]),
            (5, [(0, 0), (5, 0)]),
            (6, [(2, 3), (2, 0)]),
            (6, [(3, 0), (1, 2)]),
            (0, [(0, 0)]),
            (4, [(2, 0), (2, 0)]),
        ):
            yield Case("zero length", self._with(rng, seq, spans))

    @staticmethod
    def _with(rng: np.random.Generator, seq: int, spans: Sequence[tuple[int, int]]) -> dict[str, Any]:
        return {"ids": rng.integers(10, 14, size=seq).tolist(), "spans": [list(span) for span in spans], "mask_id": 3}

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The spoiled text, and whether the arguments are as they were."""
        ids, spans = list(inputs["ids"]), [tuple(span) for span in inputs["spans"]]
        out = student.text_infill(ids, spans, inputs["mask_id"])
        intact = ids == inputs["ids"] and spans == [tuple(span) for span in inputs["spans"]]
        return {"out": out, "intact": intact}

    def judge(self, case: Case, answer: Any) -> Verdict:
        """A list; then against each misreading."""
        ids, spans, mask_id = (case.inputs[name] for name in ("ids", "spans", "mask_id"))
        given = f"ids {ids}, spans {[tuple(span) for span in spans]}, mask_id={mask_id}"
        got = answer["out"]
        if not answer["intact"]:
            return wrong(f"ids or spans were changed by the call; {given}")
        if type(got) is not list:
            return wrong(f"the result is a list, this is {type(got).__name__}; {given}")
        if got == infilled(ids, spans, mask_id):
            return right()
        shifted = list(ids)
        for start, length in spans:
            shifted[start : start + length] = [mask_id]
        covered = {place for start, length in spans for place in range(start, start + length)}
        merged = [
            mask_id if place in covered else token
            for place, token in enumerate(ids)
            if place not in covered or place - 1 not in covered
        ]
        one_each = [mask_id if place in covered else token for place, token in enumerate(ids)]
        deleted = [token for place, token in enumerate(ids) if place not in covered]
        long_ones = infilled(ids, [span for span in spans if span[1]], mask_id)
        stretched = infilled(ids, [(start, max(length, 1)) for start, length in spans], mask_id)
        for value, words in (
            (one_each, "every token of a span got a mask: one mask stands for the whole span"),
            (long_ones, "a span of length zero inserts a mask: nothing is taken, one is put in"),
            (merged, "spans that touch became one mask: each has its own, those of length zero too"),
            (deleted, "the spans were deleted: a mask takes their place"),
            (shifted, "the first replacement moved the rest, and later spans hit other tokens"),
            (stretched, "a span of length zero takes no token away"),
        ):
            if got == value:
                return wrong(f"{words}; you gave {got}; {given}")
        return wrong(f"you gave {got}, which is not one mask for each span; {given}")


def infilled(ids: Sequence[int], spans: Iterable[Sequence[int]], mask_id: int) -> list[int]:
    """Place by place: the masks that stand before it, then the token where no span covers it."""
    spans = [tuple(span) for span in spans]
    out: list[int] = []
    for place in range(len(ids) + 1):
        out += [mask_id] * sum(start == place for start, _ in spans)
        if place < len(ids) and not any(start <= place < start + length for start, length in spans):
            out.append(ids[place])
    return out


# -------------------------------------------------------------------------------------- 5.7 prefix mask


class PrefixMask(HiddenCheck):
    """5.7: all prefixes of small sizes, the empty and the whole one among them."""

    exercise = "prefix-lm-mask"
    uses = ("prefix_lm_mask",)
    criteria = {"rows of the prefix": 1.0, "rows after it": 1.0}
    forbids = {"causal_all_along": "the stand-in is causal in the prefix, too: write your own"}

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """(seq, prefix)."""
        drawn = int(rng.integers(6, 12))
        for seq, prefix in ((5, 3), (drawn, drawn // 2), (4, 4), (1, 1), (7, 1), (6, 2)):
            yield Case("rows of the prefix", {"sizes": [seq, prefix]})
        for seq, prefix in ((5, 3), (drawn, drawn // 2), (4, 0), (1, 0), (7, 1), (6, 5)):
            yield Case("rows after it", {"sizes": [seq, prefix]})

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The mask as it comes."""
        return student.prefix_lm_mask(*inputs["sizes"])

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Type, shape, then pair by pair."""
        seq, prefix = case.inputs["sizes"]
        given = f"prefix_lm_mask(seq={seq}, prefix={prefix})"
        if getattr(answer, "shape", None) != (seq, seq):
            return wrong(f"the shape is {getattr(answer, 'shape', None)}, not {(seq, seq)}; {given}")
        if answer.dtype != np.bool_:
            return wrong(f"the mask is boolean, this is {answer.dtype}; {given}")

        def pairs(rule: Any) -> np.ndarray:
            return np.array([[rule(query, key) for key in range(seq)] for query in range(seq)], dtype=bool)

        def wanted(query: int, key: int) -> bool:
            return key < prefix if query < prefix else key <= query

        rows = slice(0, prefix) if case.criterion == "rows of the prefix" else slice(prefix, seq)
        if np.array_equal(answer[rows], pairs(wanted)[rows]):
            return right()
        for rule, words in (
            (lambda q, k: not wanted(q, k), "inverted: True means that a query may look"),
            (lambda q, k: k <= q, "causal everywhere: inside the prefix everybody sees everybody"),
            (lambda q, k: q < prefix or k <= q, "the prefix sees what follows: then the answer is known before"),
            (lambda q, k: k < prefix or q >= prefix, "what follows is seen in both directions: only the prefix is"),
            (lambda q, k: True, "everybody sees everybody"),
            (lambda q, k: k <= prefix or k <= q, "the prefix has one place too many: places count from 0"),
            (lambda q, k: k < prefix - 1 or k <= q, "the prefix has one place too few"),
            (
                lambda q, k: (k < prefix) == (q < prefix) and wanted(q, k),
                "what follows does not see the prefix: it is the question that is answered",
            ),
            (lambda q, k: k < prefix or k < q, "a token after the prefix does not see itself"),
            (lambda q, k: wanted(k, q), "rows and columns are exchanged: a row is the one who looks"),
        ):
            if np.array_equal(answer[rows], pairs(rule)[rows]):
                return wrong(f"{words}; {given}")
        return wrong(f"{int((answer[rows] != pairs(wanted)[rows]).sum())} pairs are not as asked; {given}")


# ---------------------------------------------------------------------------------- 5.8 seq2seq loss


class Seq2SeqLoss(HiddenCheck):
    """5.8: a recording model whose logits depend on the decoder's input; ragged targets; bos that is padding."""

    exercise = "seq2seq-loss"
    uses = ("seq2seq_loss",)
    criteria = {"what the decoder reads": 1.5, "what is scored": 1.0, "gradient and inputs": 0.5}
    forbids = {"loss_without_start": "the stand-in never asks for the first token: write your own"}

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """(sources, src, tgt, vocab, bos, pad), all different; no padding at all; padding that is also the start."""
        for sizes in ((3, 5, 4, 9, 1, 0), (2, 3, 6, 8, 0, 0), (1, 2, 1, 5, 4, 2), (4, 6, 5, 11, 2, 7)):
            inputs = self._draw(rng, *sizes)
            for criterion in self.criteria:
                yield Case(criterion, inputs)

    @staticmethod
    def _draw(
        rng: np.random.Generator, batch: int, src: int, tgt: int, vocab: int, bos: int, pad: int
    ) -> dict[str, Any]:
        ordinary = [i for i in range(vocab) if i != pad]
        source, target = rng.choice(ordinary, size=(batch, src)), rng.choice(ordinary, size=(batch, tgt))
        for row in range(1, batch):
            source[row, src - row % src :] = pad
            target[row, tgt - row % tgt :] = pad
        return {
            "src": source,
            "tgt": target,
            "bos": bos,
            "pad": pad,
            "table": rng.normal(size=(vocab, vocab)) * 2,
            "places": rng.normal(size=(tgt, vocab)),
        }

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The loss, what the model was called with, the gradient of its table, and the inputs afterwards."""
        import torch

        table = torch.tensor(inputs["table"], requires_grad=True)
        places = torch.tensor(inputs["places"])
        calls = []

        def model(src, decoder_input, mask):
            calls.append({"src": src.clone(), "decoder": decoder_input.clone(), "mask": mask.clone()})
            return table[decoder_input] + places[: decoder_input.shape[1]]

        src, tgt = torch.tensor(inputs["src"]), torch.tensor(inputs["tgt"])
        loss = student.seq2seq_loss(model, src, tgt, inputs["bos"], inputs["pad"])
        gradient = None
        if loss.requires_grad:
            loss.backward()
            gradient = table.grad
        intact = bool((src == torch.tensor(inputs["src"])).all() and (tgt == torch.tensor(inputs["tgt"])).all())
        return {"loss": loss, "calls": calls[:3], "count": len(calls), "gradient": gradient, "intact": intact}

    def judge(self, case: Case, answer: Any) -> Verdict:
        """What the model was shown; the mean over real targets; the gradient of the table."""
        src, tgt, bos, pad, table, places = (
            case.inputs[name] for name in ("src", "tgt", "bos", "pad", "table", "places")
        )
        given = f"tgt {tgt.tolist()}, bos={bos}, pad={pad}"
        if not answer["intact"]:
            return wrong(f"src or tgt was changed by the call: shift a copy; {given}")
        if answer["count"] != 1:
            return wrong(f"the model was called {answer['count']} times: all places are computed in one call; {given}")
        shown = answer["calls"][0]
        shifted = np.concatenate([np.full((len(tgt), 1), bos), tgt[:, :-1]], axis=1)
        if case.criterion == "what the decoder reads":
            return self._read(shown, src, tgt, shifted, bos, pad, given)
        read = shown["decoder"]
        if read.ndim != 2 or read.shape[0] != len(tgt) or read.shape[1] > tgt.shape[1]:
            return wrong(f"the decoder's input has shape {read.shape}, that of tgt is {tgt.shape}; {given}")
        logits = table[read] + places[: read.shape[1]]
        logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        if getattr(answer["loss"], "shape", None) != ():
            return wrong(f"the loss is one number, this has shape {getattr(answer['loss'], 'shape', None)}; {given}")
        if not np.array_equal(read, shifted):
            return wrong(f"the decoder does not read bos and then the targets before; {given}")
        picked = -np.take_along_axis(logs, tgt[..., None], axis=2)[..., 0]
        real = tgt != pad
        if not close(answer["loss"], picked[real].mean()):
            rows = [row[keep].mean() for row, keep in zip(picked, real, strict=True)]
            suspects = [
                (picked.mean(), "padding is scored, too"),
                ((picked * real).sum() / real.size, "divided by all places, padding included"),
                (picked[real].sum(), "a sum; the mean over the real targets was asked"),
                (np.mean(rows), "a mean of means: every target counts alike, whatever row it is in"),
                ((picked * real).sum() / len(tgt), "divided by the number of rows, not of targets"),
                (picked[:, 1:][real[:, 1:]].mean() if real[:, 1:].any() else -1.0, "the first target is not scored"),
            ]
            later = picked[:, :-1]
            if tgt.shape[1] > 1:
                ahead = -np.take_along_axis(logs[:, :-1], tgt[:, 1:, None], axis=2)[..., 0]
                suspects.append((ahead[real[:, 1:]].mean(), "shifted twice: place t is asked for the target after t"))
                suspects.append((later[real[:, :-1]].mean(), "the last target of the longest rows is not scored"))
            return name_the_mistake(
                answer["loss"],
                [(value, f"{words}; {given}") for value, words in suspects],
                f"this is not the mean of -log P over the targets that are not padding; {given}",
            )
        if case.criterion == "what is scored":
            return right()
        if answer["gradient"] is None:
            return wrong(f"no gradient reaches the model: the graph was cut; {given}")
        slope = (np.exp(logs) - np.eye(logs.shape[-1])[tgt]) * real[..., None] / real.sum()
        want = np.zeros_like(table)
        np.add.at(want, read, slope)
        return right() if close(answer["gradient"], want) else wrong(f"the gradient is not that of the loss; {given}")

    @staticmethod
    def _read(
        shown: Any, src: np.ndarray, tgt: np.ndarray, shifted: np.ndarray, bos: int, pad: int, given: str
    ) -> Verdict:
        read = shown["decoder"]
        if not np.array_equal(shown["src"], src):
            return wrong(f"the model reads src as it is; {given}")
        if getattr(read, "shape", None) != tgt.shape:
            if read.shape == (len(tgt), tgt.shape[1] - 1):
                return wrong(f"the decoder's input is one too short: bos comes before the targets; {given}")
            return wrong(f"the decoder's input has shape {read.shape}, that of tgt is {tgt.shape}; {given}")
        if not np.array_equal(read, shifted):
            if np.array_equal(read, tgt):
                return wrong(f"the decoder reads the very token it shall predict: shift by one; {given}")
            if np.array_equal(read, np.concatenate([tgt[:, 1:], np.full((len(tgt), 1), pad)], axis=1)):
                return wrong(f"shifted to the left: the decoder reads the token after the one it predicts; {given}")
            if np.array_equal(read[:, 1:], shifted[:, 1:]):
                return wrong(f"the decoder begins with {read[:, 0].tolist()}, not with bos; {given}")
            return wrong(f"the decoder reads {read.tolist()}: bos, then all targets but the last; {given}")
        mask = shown["mask"]
        if mask.shape != src.shape or mask.dtype != np.bool_:
            return wrong(f"the third argument is boolean, of the shape of src; {given}")
        if not np.array_equal(mask, src != pad):
            if np.array_equal(mask, src == pad):
                return wrong(f"the source's mask is inverted: True where a token is real; {given}")
            return wrong(f"the source's mask does not hide its padding {pad}; {given}")
        return right()

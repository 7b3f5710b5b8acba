"""The hidden checks of chapter 9: what a right answer must do, and what each wrong one is told.

Expected values are computed here by other routes: token by token, pair by pair, point by point. Models are tables
whose answers depend on every token before; counts of tokens do not add up; clusters lie far apart, so that every
good grouping is the same one. What is drawn at random is decided by counts at odds of less than one in a million.
"""

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from scipy.stats import binomtest, chisquare

from grader.comparing import close, name_the_mistake
from grader.hidden import Case, HiddenCheck, Verdict, right, wrong

ALARM = 1e-6
"""The probability with which a right answer may be refused by one test."""


# -------------------------------------------------------------------------------- 9.1 verbalize


def log_softmax64(row: np.ndarray) -> np.ndarray:
    """Log-probabilities of one row of logits."""
    shifted = row - row.max()
    return np.asarray(shifted - math.log(np.exp(shifted).sum()))


def softmax64(scores: Sequence[float]) -> np.ndarray:
    """Probabilities of some scores."""
    powers = np.exp(np.asarray(scores) - max(scores))
    return np.asarray(powers / powers.sum())


def logprobs_of(table: np.ndarray, before: Sequence[int], own: Sequence[int]) -> list[float]:
    """The log-probability of each of a label's tokens, under the table's model."""
    state, found = 0, []
    for place, token in enumerate([*before, *own]):
        if place >= len(before):
            found.append(float(log_softmax64(table[state])[token]))
        state = (3 * state + token + 1) % len(table)
    return found


class Verbalize(HiddenCheck):
    """9.1: labels of one to four tokens, some beginning alike; a model that reads everything before."""

    exercise = "verbalize"
    uses = ("verbalize",)
    criteria = {"own tokens, mean": 1.0, "calibration": 1.0}
    forbids = dict.fromkeys(
        ("F.cross_entropy", ".cross_entropy", "F.nll_loss", ".CrossEntropyLoss", ".NLLLoss"),
        "the loss is the page's stand-in: read the log-probabilities of the label's tokens yourself",
    )

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Prompts of several lengths, of one token too; null prompts shorter, longer, and the prompt itself."""
        sets = (
            {"short": [4], "long": [2, 5, 1], "same start": [2, 6], "again": [4, 4]},
            {"b": [0, 0, 3, 8], "a": [7], "one": [0]},
            {"only": [3, 1]},
        )
        for labels, size in zip(sets, (4, 1, 3), strict=True):
            yield Case("own tokens, mean", self._draw(rng, labels, size, None))
        for labels, size, null in zip(sets, (3, 5, 1), (2, 7, 1), strict=True):
            yield Case("calibration", self._draw(rng, labels, size, null))
        same = self._draw(rng, sets[0], 4, None)
        yield Case("calibration", {**same, "null": same["prompt"]})

    def _draw(self, rng: np.random.Generator, labels: dict[str, list[int]], size: int, null: int | None) -> Any:
        return {
            "table": rng.normal(size=(29, 9)) * 2,
            "prompt": rng.integers(0, 9, size=size).tolist(),
            "labels": labels,
            "null": None if null is None else rng.integers(0, 9, size=null).tolist(),
        }

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """Names and numbers that came back, and whether prompt and labels are as they were."""
        import copy

        import torch

        table = torch.tensor(inputs["table"])

        def lm(ids):  # type: ignore[no-untyped-def]
            state = torch.zeros(len(ids), dtype=torch.long)
            logits = []
            for column in ids.T:
                state = (3 * state + column + 1) % len(table)
                logits.append(table[state])
            return torch.stack(logits, dim=1)

        given = copy.deepcopy((inputs["prompt"], inputs["labels"], inputs["null"]))
        if inputs["null"] is None:
            out = student.verbalize(lm, inputs["prompt"], inputs["labels"])
        else:
            out = student.verbalize(lm, inputs["prompt"], inputs["labels"], null_prompt=inputs["null"])
        return {
            "names": [str(name) for name in out],
            "values": [float(value) for value in out.values()],
            "plain": all(isinstance(value, float) for value in out.values()),
            "intact": given == (inputs["prompt"], inputs["labels"], inputs["null"]),
        }

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Names and sum, then the value against those of each misconception."""
        table, prompt, labels, null = (case.inputs[name] for name in ("table", "prompt", "labels", "null"))
        given = f"prompt {prompt}, labels {labels}, null prompt {null}"
        if not answer["intact"]:
            return wrong(f"the prompt or the labels were changed by the call; {given}")
        if not answer["plain"]:
            return wrong(f"the probabilities are no plain numbers but tensors; {given}")
        if answer["names"] != list(labels):
            return wrong(f"the labels came back as {answer['names']}, not in their order; {given}")
        got = answer["values"]

        def of(before: Sequence[int], own: Sequence[int]) -> float:
            return sum(logprobs_of(table, before, own)) / len(own)

        def both(score: Any, sign: float = -1.0) -> np.ndarray:
            scores = [score(prompt, own) for own in labels.values()]
            if null is not None:
                scores = [one + sign * score(null, own) for one, own in zip(scores, labels.values(), strict=True)]
            return softmax64(scores)

        expected = both(of)
        if close(got, expected, rtol=1e-6):
            return right()
        if abs(sum(got) - 1) > 1e-6:
            return wrong(f"the probabilities sum to {sum(got):.4g}: the softmax goes over the labels; {given}")

        def with_prompt(before: Sequence[int], own: Sequence[int]) -> float:
            whole = [*before, *own]
            return sum(logprobs_of(table, whole[:1], whole[1:])) / (len(whole) - 1)

        def late(before: Sequence[int], own: Sequence[int]) -> float:
            state, found = 0, []
            for place, token in enumerate([*before, *own]):
                state = (3 * state + token + 1) % len(table)
                if place >= len(before):
                    found.append(float(log_softmax64(table[state])[token]))
            return sum(found) / len(found)

        def alone(before: Sequence[int], own: Sequence[int]) -> float:
            return sum(logprobs_of(table, before, [token])[0] for token in own) / len(own)

        suspects = [
            (
                both(lambda before, own: logprobs_of(table, before, own)[0]),
                "only the first token of a label was scored",
            ),
            (
                both(lambda before, own: sum(logprobs_of(table, before, own))),
                "the log-probabilities of a label's "
                "tokens were added: a long label loses by its length; take their mean",
            ),
            (both(with_prompt), "the prompt's own tokens were scored with the label's: only the label's count"),
            (both(late), "each label token was read at its own place: the logits there are for the next token"),
            (both(alone), "each label token was scored right behind the prompt: it also follows the ones before it"),
        ]
        if null is not None:
            plain = softmax64([of(prompt, own) for own in labels.values()])
            empty = softmax64([of(null, own) for own in labels.values()])
            suspects += [
                (plain, "the null prompt changed nothing: subtract the score after it"),
                (both(of, +1.0), "the score after the null prompt was added: it must be subtracted"),
                (
                    softmax64((plain - empty).tolist()),
                    "probabilities were subtracted: subtract the mean log-probabilities",
                ),
                (
                    softmax64([of(prompt, own) - sum(logprobs_of(table, null, own)) for own in labels.values()]),
                    "the score after the null prompt was a sum, not a mean like the other",
                ),
            ]
        return name_the_mistake(
            got,
            [(value, f"{words}; {given}") for value, words in suspects],
            f"the probabilities are not the softmax over the labels' mean log-probabilities; {given}",
            rtol=1e-6,
        )


# --------------------------------------------------------------------------- 9.2 few-shot prompt


def count_tokens(mode: str, text: str) -> int:
    """Tokens of a text in one of three ways; of joined texts it is not the sum."""
    if mode == "pieces":
        return len(re.findall(r"\n\n|\w+|[^\w\s]", text))
    if mode == "blocks":
        return -(-len(text) // 7)
    return len(text.split())


def written_prompt(inputs: dict[str, Any], shown: Sequence[Sequence[str]], separator: str = "\n\n") -> str:
    """The whole prompt with some demonstrations."""
    parts = [inputs["persona"], inputs["instruction"]]
    parts = [part for part in parts if part] + [f"Q: {pair[0]}\nA: {pair[1]}" for pair in shown]
    return separator.join([*parts, f"Q: {inputs['query']}\nA:"])


WORDS = [
    "ant",
    "bee",
    "cat",
    "dog",
    "elk",
    "fox",
    "gnu",
    "hen",
    "ibis",
    "jay",
    "kite",
    "lynx",
    "mole",
    "newt",
    "owl",
    "pig",
]


class FewShotPrompt(HiddenCheck):
    """9.2: parts that are empty; budgets met exactly, missed by one, and too small; three ways to count."""

    exercise = "few-shot-prompt"
    uses = ("few_shot_prompt",)
    criteria = {"format": 1.0, "budget": 1.0}
    forbids = dict.fromkeys(("re.split",), "cutting a finished text is the page's stand-in: assemble it from its parts")

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Demonstrations of uneven length, the middle ones long, so that a shorter old one would still fit."""
        for persona, instruction, count in (
            ("", "", 0),
            ("You count.", "", 2),
            ("", "Be brief.", 1),
            ("You.", "Do.", 3),
        ):
            inputs = self._draw(rng, persona, instruction, [2] * count, "words")
            yield Case("format", {**inputs, "budget": 999})
        inputs = self._draw(rng, "", "", [], "words")
        inputs["demos"] = [["one\nor two?", "first this.\nThen that."], ["{x} & {answer}", "Q: no\nA: yes"]]
        yield Case("format", {**inputs, "budget": 999})
        for mode, lengths in (("words", (1, 9, 2, 3)), ("pieces", (2, 12, 1, 5)), ("blocks", (1, 15, 6, 2, 4))):
            for persona, instruction in (("You are a judge.", "Answer briefly."), ("", "")):
                inputs = self._draw(rng, persona, instruction, lengths, mode)
                fits = [
                    count_tokens(mode, written_prompt(inputs, inputs["demos"][at:])) for at in range(len(lengths) + 1)
                ]
                for budget in (fits[0], fits[0] - 1, fits[2], fits[2] - 1, fits[-2], fits[-2] - 1, fits[-1]):
                    yield Case("budget", {**inputs, "budget": budget})
                yield Case("budget", {**inputs, "budget": fits[-1] - 1})

    def _draw(self, rng: np.random.Generator, persona: str, instruction: str, lengths: Sequence[int], mode: str) -> Any:
        def text(count: int) -> str:
            return " ".join(rng.choice(WORDS, count).tolist())

        demos = [[f"{text(size)} {number}?", text(int(rng.integers(1, 3)))] for number, size in enumerate(lengths)]
        return {
            "persona": persona,
            "instruction": instruction,
            "demos": demos,
            "query": f"{text(4)}, then?",
            "mode": mode,
        }

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The prompt, or the name of the error; are the demonstrations as they were?"""
        import re

        def count(text):  # type: ignore[no-untyped-def]
            if inputs["mode"] == "pieces":
                return len(re.findall(r"\n\n|\w+|[^\w\s]", text))
            if inputs["mode"] == "blocks":
                return -(-len(text) // 7)
            return len(text.split())

        demos = [tuple(pair) for pair in inputs["demos"]]
        given = list(demos)
        try:
            prompt = student.few_shot_prompt(
                inputs["instruction"], inputs["persona"], demos, inputs["query"], inputs["budget"], count
            )
        except ValueError:
            return {"prompt": None, "intact": demos == given}
        return {"prompt": str(prompt), "none": prompt is None, "intact": demos == given}

    def judge(self, case: Case, answer: Any) -> Verdict:
        """What must be there, then the budget, then which demonstrations stayed, then the spaces between."""
        inputs = case.inputs
        demos, budget, mode = inputs["demos"], inputs["budget"], inputs["mode"]
        lengths = [count_tokens(mode, written_prompt(inputs, demos[at:])) for at in range(len(demos) + 1)]
        given = f"{len(demos)} demonstrations, budget {budget}; the prompt with the last 0, 1, ... has {lengths[::-1]}"
        if not answer["intact"]:
            return wrong(f"the list of demonstrations was changed by the call; {given}")
        possible = [at for at, length in enumerate(lengths) if length <= budget]
        prompt = answer["prompt"]
        if prompt is None:
            if not possible:
                return right()
            return wrong(f"a ValueError, although a prompt fits; {given}")
        if not possible:
            return wrong(f"the query alone is over the budget: that is a ValueError, the prompt was {prompt!r}")
        if answer["none"]:
            return wrong(f"nothing came back: return the text; {given}")
        want = written_prompt(inputs, demos[possible[0] :])
        if prompt == want:
            return right()
        query = f"Q: {inputs['query']}\nA:"
        if inputs["query"] not in prompt:
            return wrong(f"the query was cut: it must stay whole; {given}")
        if not prompt.endswith(query):
            return wrong(
                f"the prompt must end with the open query, 'A:' and nothing behind it; it ends in {prompt[-25:]!r}"
            )
        if count_tokens(mode, prompt) > budget:
            return wrong(f"{count_tokens(mode, prompt)} tokens: count the joined text, separators included; {given}")
        shown = [at for at, pair in enumerate(demos) if f"Q: {pair[0]}\nA: {pair[1]}" in prompt]
        if shown == list(range(possible[0], len(demos))):
            squeezed = re.sub(r"\s+", " ", prompt)
            if squeezed == re.sub(r"\s+", " ", want):
                return wrong(f"between two parts stands one blank line, everywhere, and only there; got {prompt!r}")
            order = [prompt.index(f"Q: {demos[at][0]}") for at in shown]
            if order != sorted(order):
                return wrong(f"the demonstrations are not in their order, oldest first; {given}")
            persona, instruction = inputs["persona"], inputs["instruction"]
            if persona and instruction and prompt.find(persona) > prompt.find(instruction) >= 0:
                return wrong(f"the persona comes before the instruction; got {prompt!r}")
            return wrong(f"the parts are not written as the card says; got {prompt!r}")
        if shown and shown != list(range(shown[0], len(demos))):
            return wrong(f"an older demonstration was kept where a later one was dropped: the oldest goes; {given}")
        if len(shown) < len(demos) - possible[0]:
            return wrong(
                f"{len(shown)} demonstrations are shown, and one more meets the budget exactly or fits; {given}"
            )
        return wrong(f"not the latest demonstrations that fit, whole and in order; {given}")


# --------------------------------------------------------------------------------- 9.3 icl batch


class IclBatch(HiddenCheck):
    """9.3: structure of every row, and counts of keys, sets, values and repetitions over 700 rows."""

    exercise = "icl-batch"
    uses = ("icl_batch",)
    criteria = {"mapping": 1.0, "loss mask": 0.5, "draws": 0.5}
    forbids = dict.fromkeys(
        ("np.random.default_rng", "np.random.choice", "np.random.randint", "np.random.permutation"),
        "numpy's draws are the page's stand-in: draw with torch from `rng`",
    )

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Sizes all different; a pool of one, of all keys; one pair."""
        for criterion in self.criteria:
            for vocab, pairs, pool, batch in ((12, 21, 3, 700), (10, 17, 5, 90), (6, 5, 1, 40), (8, 1, 2, 30)):
                yield Case(
                    criterion,
                    {"sizes": [vocab, pairs, pool, batch], "seed": int(rng.integers(2**31))},
                )

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """One batch; the same again; another seed; and whether the global generators were used."""
        import random

        import numpy as np
        import torch

        def draw(seed):  # type: ignore[no-untyped-def]
            return student.icl_batch(*inputs["sizes"], torch.Generator().manual_seed(seed))

        torch_state, numpy_state, state = (
            torch.random.get_rng_state(),
            np.random.get_state()[1].tolist(),
            random.getstate(),
        )
        ids, mask = draw(inputs["seed"])
        quiet = bool(torch.equal(torch_state, torch.random.get_rng_state()))
        quiet = quiet and numpy_state == np.random.get_state()[1].tolist() and state == random.getstate()
        again, _ = draw(inputs["seed"])
        other, _ = draw(inputs["seed"] + 1)
        return {
            "ids": ids,
            "mask": mask,
            "same": bool(torch.equal(ids, again)),
            "other": bool(torch.equal(ids, other)),
            "quiet": quiet,
        }

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Shape and kind, then what the case's criterion is about."""
        vocab, pairs, pool, batch = case.inputs["sizes"]
        given = f"vocab_size={vocab}, n_pairs={pairs}, pool={pool}, batch={batch}"
        ids, mask = np.asarray(answer["ids"]), np.asarray(answer["mask"])
        if ids.shape != (batch, 2 * pairs) or mask.shape != ids.shape:
            return wrong(f"ids and mask have the shapes {ids.shape} and {mask.shape}; {given}")
        if ids.dtype.kind != "i" or mask.dtype != bool:
            return wrong(f"ids are integers and the mask boolean, got {ids.dtype} and {mask.dtype}; {given}")
        keys, values = ids[:, ::2], ids[:, 1::2]
        if case.criterion == "loss mask":
            return self._judge_mask(keys, values, mask, given)
        half = vocab // 2
        if keys.min() < 0 or keys.max() >= half or values.min() < half or values.max() >= vocab:
            return wrong(f"keys lie below {half} and values from {half} on, in turn; {given}")
        if case.criterion == "mapping":
            return self._judge_mapping(keys, values, case.inputs["sizes"], given)
        if not answer["same"]:
            return wrong(f"the same generator state gave another batch: all draws come from `rng`; {given}")
        if answer["other"]:
            return wrong(f"another seed gave the same batch: draw from `rng`; {given}")
        if not answer["quiet"]:
            return wrong(f"a global random generator was used or seeded: draw from `rng` alone; {given}")
        if batch < 500:
            return right()
        repeats = int((keys[:, 1:] == keys[:, :-1]).sum())
        if binomtest(repeats, batch * (pairs - 1), 1 / pool).pvalue < ALARM:
            return wrong(
                f"a pair repeats the key before it {repeats} times of {batch * (pairs - 1)}: keys are drawn from the "
                f"row's pool with replacement, all as likely; {given}"
            )
        return right()

    def _judge_mask(self, keys: np.ndarray, values: np.ndarray, mask: np.ndarray, given: str) -> Verdict:
        batch, pairs = keys.shape
        known = np.array([[key in row[:at] for at, key in enumerate(row)] for row in keys.tolist()]).reshape(
            batch, pairs
        )
        if mask[:, ::2].any():
            return wrong(f"the mask is True at a key: only values count; {given}")
        got = mask[:, 1::2]
        if (got == known).all():
            return right()
        alike = np.array([[value in row[:at] for at, value in enumerate(row)] for row in values.tolist()])
        if got.all():
            return wrong(f"the mask counts values of keys that are new: those are a guess; {given}")
        if (got == alike.reshape(batch, pairs)).all():
            return wrong(f"the mask asks whether the value stood there before, not the key; {given}")
        if got[:, 0].any():
            return wrong(f"the first value of a row can never be known; {given}")
        return wrong(f"the mask is not True exactly where the key stood earlier in the row; {given}")

    def _judge_mapping(self, keys: np.ndarray, values: np.ndarray, sizes: Sequence[int], given: str) -> Verdict:
        vocab, _, pool, batch = sizes
        half = vocab // 2
        maps = []
        for key_row, value_row in zip(keys.tolist(), values.tolist(), strict=True):
            mapping: dict[int, int] = {}
            for key, value in zip(key_row, value_row, strict=True):
                if mapping.setdefault(key, value) != value:
                    return wrong(f"key {key} has two values in one row; {given}")
            if len(mapping) > pool:
                return wrong(f"a row has {len(mapping)} different keys, its pool holds {pool}; {given}")
            maps.append(mapping)
        if len({tuple(sorted(mapping.items())) for mapping in maps}) < min(batch, half) / 2:
            return wrong(f"rows share one mapping, which weights could store: draw it anew for each row; {given}")
        if batch < 500:
            return right()
        full = [mapping for mapping in maps if len(mapping) == pool]
        if len(full) < 0.97 * batch:
            return wrong(
                f"only {len(full)} of {batch} rows show {pool} different keys: the pool holds different ones; {given}"
            )
        sets = Counter(tuple(sorted(mapping)) for mapping in full)
        every = [sets[chosen] for chosen in itertools.combinations(range(half), pool)]
        if chisquare(every).pvalue < ALARM:
            return wrong(
                f"some sets of keys come more often than others, or never: choose them anew for each row; {given}"
            )
        by_key = {key: Counter(mapping[key] for mapping in full if key in mapping) for key in range(half)}
        for key, counts in by_key.items():
            if chisquare([counts[value] for value in range(half, vocab)]).pvalue < ALARM:
                return wrong(f"key {key} does not have all values equally often over the rows; {given}")
        pairs_alike = sum(mapping[a] == mapping[b] for mapping in full for a, b in itertools.combinations(mapping, 2))
        trials = len(full) * pool * (pool - 1) // 2
        if binomtest(pairs_alike, trials, 1 / half).pvalue < ALARM:
            return wrong(
                f"two keys share a value {pairs_alike} times of {trials}: values are drawn independently; {given}"
            )
        return right()


# ------------------------------------------------------------------------------ 9.4 parse answer


class ParseAnswer(HiddenCheck):
    """9.4: numbers made first and then written into texts; texts without one."""

    exercise = "parse-answer"
    uses = ("parse_answer",)
    criteria = {"which number": 0.5, "its spelling": 0.5}

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Several numbers in a text, subtractions, none; then commas, decimals and signs."""
        texts, wants = [], []
        for _ in range(6):
            a, b = sorted(rng.integers(10, 900, size=2).tolist())
            texts += [
                f"{b} boxes and {a} more are {a + b}.",
                f"Step 1: {b}-{a}",
                f"It is {b + a} - {a} = {b}, I think",
                f"{a}, {b}, {a}",
                f"The answer is {a}.\n\n{b}",
            ]
            wants += [str(a + b), str(a), str(b), str(a), str(b)]
        texts += ["", "I do not know.", "- . ,", "No number, at all. Not one-"]
        wants += [None] * 4
        yield Case("which number", {"texts": texts}, {"wants": wants})
        texts, wants = [], []
        for _ in range(5):
            whole, cents = int(rng.integers(1000, 9_999_999)), int(rng.integers(1, 9))
            small = int(rng.integers(1, 99))
            texts += [
                f"Answer: -{whole:,}.{cents}0.",
                f"so {whole:,} in all",
                f"{whole:,}.00!",
                f"about {small}.{cents}{cents}, or so",
                f"it fell to -{small} degrees",
                f"minus (-{small}.0)",
                f"{small * 100}",
                f"That makes {whole}0, at least.",
            ]
            wants += [
                f"-{whole}.{cents}",
                str(whole),
                str(whole),
                f"{small}.{cents}{cents}",
                f"-{small}",
                f"-{small}",
                str(small * 100),
                f"{whole}0",
            ]
        texts += ["0", "exactly 0.50", "100", "1,000"]
        wants += ["0", "0.5", "100", "1000"]
        yield Case("its spelling", {"texts": texts}, {"wants": wants})

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """What came back for each text, and of what kind it was."""
        found = [student.parse_answer(text) for text in inputs["texts"]]
        return [[None if one is None else str(one), type(one).__name__] for one in found]

    def judge(self, case: Case, answer: Any) -> Verdict:
        """The first text that was read wrongly, and how."""
        for text, want, (got, kind) in zip(case.inputs["texts"], case.secret["wants"], answer, strict=True):
            if got == want and (got is None or kind == "str"):
                continue
            if want is None:
                return wrong(f"there is no number in {text!r}, so the answer is None, not {got!r}")
            if got is None:
                return wrong(f"a number in {text!r} was not found")
            if kind != "str":
                return wrong(f"the answer is a text, not a {kind}; the text was {text!r}")
            numbers = re.findall(r"\d[\d,]*(?:\.\d+)?", text)
            plain = numbers[0].replace(",", "")
            if len(numbers) > 1 and got == (plain.rstrip("0").rstrip(".") if "." in plain else plain) != want:
                return wrong(
                    f"the first number of {text!r} was taken: a chain names others on its way, the last counts"
                )
            if want.startswith("-") and got == want[1:]:
                return wrong(f"the sign is lost: a '-' directly before the digits belongs to the number in {text!r}")
            if got == f"-{want}":
                return wrong(f"the '-' in {text!r} stands between two numbers: it is no sign")
            if got.rstrip(".,") == want or "," in got:
                return wrong(f"commas and the full stop are no part of the spelling: {text!r} gave {got!r}")
            if "." in got and got.rstrip("0").rstrip(".") == want:
                return wrong(f"zeros that end a decimal part say nothing and go: {text!r} gave {got!r}")
            if "," in text and want.lstrip("-").partition(".")[0].endswith(got.partition(".")[0]):
                return wrong(f"the number in {text!r} was cut at a comma between thousands: {got!r}")
            return wrong(f"{text!r} gave {got!r}, which is not its last number in the one spelling of the card")
        return right()


# ---------------------------------------------------------------------------------- 9.5 the vote


def elected(answers: Sequence[str | None], how: str = "") -> str | None:
    """The winner, or who wins by a misunderstanding."""
    given = [answer if how == "spaces" else answer.strip() for answer in answers if answer is not None]
    if how == "none counts" and answers.count(None) >= max([given.count(one) for one in given], default=0):
        return None
    if not given:
        return None
    most = max(given.count(one) for one in given)
    winners = [one for one in given if given.count(one) == most]
    if how == "last":
        return winners[-1]
    if how == "largest":
        return max(given, key=lambda one: (len(one), one))
    if how == "smallest tie":
        return min(winners)
    if how == "half" and most * 2 <= len(given):
        return None
    return winners[0]


class SelfConsistency(HiddenCheck):
    """9.5: None in the majority, spaces around the winner, ties, winners below one half."""

    exercise = "self-consistency"
    uses = ("self_consistency",)
    criteria = {"majority": 1.0, "ties and silence": 1.0}
    forbids = dict.fromkeys(
        ("statistics.mode", "statistics.multimode"), "the ready-made vote is the page's stand-in: count yourself"
    )

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Elections whose result every misunderstanding would change."""
        for answers in (
            ["9", "2", "2"],
            ["10", " 8", "9", "8 ", "8\n", "9", "10"],
            ["3", "12", "7", "7"],
            ["a", "b", "c", "d", "c"],
            ["5 ", "5", "6", "6"],
            [" 4"],
        ):
            yield Case("majority", {"answers": answers})
        for _ in range(4):
            answers = [f"{' ' * int(rng.integers(2))}{rng.integers(3, 8)}" for _ in range(15)]
            yield Case("majority", {"answers": answers})
        for answers in (
            [None, None, None, "4"],
            ["11", None, "2", None, None, "2 "],
            [],
            [None],
            [None, None],
            ["9", "10", "10", "9"],
            ["30", "4", "4", "30", None],
            ["b", "a"],
            [None, "x", "y", "z"],
        ):
            yield Case("ties and silence", {"answers": answers})

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The winner, and whether the list is as it was."""
        answers = list(inputs["answers"])
        winner = student.self_consistency(answers)
        return {"winner": winner, "intact": answers == inputs["answers"]}

    def judge(self, case: Case, answer: Any) -> Verdict:
        """The winner against that of each misunderstanding."""
        answers, got = case.inputs["answers"], answer["winner"]
        if not answer["intact"]:
            return wrong(f"the list of answers was changed by the call; it was {answers}")
        want = elected(answers)
        if got == want:
            return right()
        if isinstance(got, str) and got.strip() == want:
            return wrong(f"the white space around the answer came back with it: {got!r}; the answers were {answers}")
        if want is None:
            return wrong(f"nobody answered, so the result is None, not {got!r}; the answers were {answers}")
        for how, words in (
            ("none counts", "None was counted as an answer: it has no vote"),
            ("spaces", "'8' and ' 8' were counted as two answers: white space makes no difference"),
            ("half", "no answer was accepted without more than half of the votes: the most frequent one wins"),
            ("last", "of equally frequent answers the last was taken: the one that was given first wins"),
            ("smallest tie", "a tie was decided by the answers' order in the dictionary: the one given first wins"),
            ("largest", "the largest answer was taken, not the most frequent"),
        ):
            if got == elected(answers, how):
                return wrong(f"{words}; the answers were {answers}")
        return wrong(f"{got!r} is not the most frequent answer; the answers were {answers}")


# --------------------------------------------------------------------------------- 9.6 k-means


def lloyd(points: np.ndarray, start: np.ndarray, iters: int, how: str = "") -> tuple[list[int], np.ndarray, float]:
    """Rounds of k-means, point by point; `how` turns on one misunderstanding."""
    centres = start.astype(np.float64).copy()
    points = points.astype(np.float64)

    def near() -> list[int]:
        found = []
        for point in points:
            gaps = [float(((point - centre) ** 2).sum()) for centre in centres]
            best = min(gaps)
            found.append(len(gaps) - 1 - gaps[::-1].index(best) if how == "last tie" else gaps.index(best))
        return found

    assign = near()
    for _ in range(iters):
        assign = near()
        for number in range(len(centres)):
            members = points[[at for at, cluster in enumerate(assign) if cluster == number]]
            if len(members):
                centres[number] = np.median(members, axis=0) if how == "median" else members.mean(axis=0)
            elif how == "zero":
                centres[number] = 0.0
            elif how == "nan":
                centres[number] = np.nan
    if how != "stale":
        assign = near()
    inertia = sum(float(((point - centres[cluster]) ** 2).sum()) for point, cluster in zip(points, assign, strict=True))
    return assign, centres, inertia


class KMeans(HiddenCheck):
    """9.6: 0, 1, 2 and many rounds; ties; clusters that are empty from the start or become so."""

    exercise = "kmeans"
    uses = ("kmeans",)
    criteria = {"rounds": 1.5, "empty clusters and ties": 1.0, "inertia": 0.5}
    forbids = {
        **dict.fromkeys(
            ("scipy.cluster.vq.kmeans2", "kmeans2", ".kmeans2", "scipy.cluster.vq.kmeans", ".vq"),
            "SciPy's k-means is the page's stand-in: write the rounds yourself",
        ),
        **dict.fromkeys(
            ("sklearn.cluster.KMeans", "KMeans", ".KMeans"), "a ready-made k-means: write the rounds yourself"
        ),
    }

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Points in no order, sizes all different; one dtype of each kind."""
        for n, d, k, iters in ((23, 3, 4, 0), (31, 2, 5, 1), (19, 4, 3, 2), (40, 2, 6, 60)):
            points = rng.normal(size=(n, d)) * 2
            yield Case("rounds", {"points": points, "start": points[:k] + rng.normal(size=(k, d)), "iters": iters})
        single = rng.normal(size=(7, 2)).astype(np.float32)
        yield Case("rounds", {"points": single, "start": single[:2].copy(), "iters": 1})
        points = rng.normal(size=(17, 3))
        yield Case("rounds", {"points": points, "start": points[4:5].copy(), "iters": 3})
        name = "empty clusters and ties"
        far = np.vstack([rng.normal(size=(2, 2)), [[50.0, 60.0]]])
        for iters in (1, 3):
            yield Case(name, {"points": rng.normal(size=(12, 2)) + 1, "start": far[[2, 0, 1]], "iters": iters})
        yield Case(name, {"points": self._emptied(rng)[0], "start": self._emptied(rng)[1], "iters": 0})
        emptied = self._emptied(rng)
        yield Case(name, {"points": emptied[0], "start": emptied[1], "iters": 6})
        line = np.array([[6.0], [0.0], [4.0], [2.0]])
        for iters in (0, 1):
            yield Case(name, {"points": line, "start": np.array([[5.0], [1.0], [3.0]]), "iters": iters})
        yield Case(name, {"points": np.array([[1.0], [3.0]]), "start": np.array([[2.0], [2.0]]), "iters": 1})
        points = rng.normal(size=(15, 3)) * 3
        for iters in (0, 2):
            yield Case("inertia", {"points": points, "start": points[3:7] + 0.5, "iters": iters})

    def _emptied(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Points and a start from which a cluster loses its last point after the first round."""
        while True:
            points, start = rng.normal(size=(9, 2)), rng.normal(size=(5, 2)) * 1.5
            if len(set(lloyd(points, start, 0)[0])) == 5 > len(set(lloyd(points, start, 6)[0])):
                return points, start

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """What came out, from tensors that are not contiguous; are they as they were?"""
        import torch

        points, start = torch.tensor(inputs["points"]), torch.tensor(inputs["start"])
        views = [torch.stack([tensor, tensor], dim=-1)[..., 0] for tensor in (points, start)]
        assign, centroids, inertia = student.kmeans(*views, inputs["iters"])
        return {
            "assign": assign,
            "centroids": centroids.detach(),
            "inertia": float(inertia),
            "plain": isinstance(inertia, float),
            "intact": bool((views[0] == points).all() and (views[1] == start).all()),
        }

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Hygiene, centroids, groups, inertia; each against its misunderstandings."""
        points, start, iters = (case.inputs[name] for name in ("points", "start", "iters"))
        given = f"{points.shape[0]} points of {points.shape[1]} numbers, {len(start)} centroids, iters={iters}"
        if not answer["intact"]:
            return wrong(f"points or starting centroids were changed by the call: build new tensors; {given}")
        if not answer["plain"]:
            return wrong(f"the inertia is no plain number but a tensor; {given}")
        assign, centres, inertia = lloyd(points, start, iters)
        got, groups = answer["centroids"], np.asarray(answer["assign"])
        loose = {"rtol": 1e-5, "atol": 1e-6} if points.dtype == np.float32 else {"rtol": 1e-9, "atol": 1e-10}
        if np.shape(got) != start.shape or groups.shape != (len(points),):
            return wrong(
                f"expected {start.shape} centroids and one group a point; got {np.shape(got)}, {groups.shape}; {given}"
            )
        if got.dtype != start.dtype:
            return wrong(f"the centroids' dtype changed from {start.dtype} to {got.dtype}; {given}")
        if not close(got, centres, **loose):
            if np.isnan(got).any():
                return wrong(f"an empty cluster became nan, the mean of nothing: it keeps its centroid; {given}")
            for how, words in (
                ("zero", "an empty cluster moved to zero: it keeps its centroid"),
                ("median", "centroids are medians: the mean is what makes the squared distances least"),
                ("last tie", "of equally near centroids the last got the point: the first does"),
            ):
                if close(got, lloyd(points, start, iters, how)[1], **loose):
                    return wrong(f"{words}; {given}")
            for other in (iters - 1, iters + 1, iters + 2):
                if other >= 0 and close(got, lloyd(points, start, other)[1], **loose):
                    return wrong(f"the centroids are those after {other} rounds, not after {iters}; {given}")
            return wrong(f"the centroids are not the means of their nearest points after {iters} rounds; {given}")
        if groups.tolist() != assign:
            if groups.tolist() == lloyd(points, start, iters, "stale")[0]:
                return wrong(f"the groups belong to the centroids before the last move: assign once more; {given}")
            if groups.tolist() == lloyd(points, start, iters, "last tie")[0]:
                return wrong(f"of equally near centroids the last got the point: the first does; {given}")
            return wrong(f"a point is not in the group of its nearest centroid; {given}")
        squares = [float(((point - centres[at]) ** 2).sum()) for point, at in zip(points, assign, strict=True)]
        before = lloyd(points, start, max(0, iters - 1))[0]
        stale = sum(float(((point - centres[at]) ** 2).sum()) for point, at in zip(points, before, strict=True))
        if close(answer["inertia"], inertia, **loose):
            return right()
        suspects = [
            (inertia / len(points), "the inertia is a mean: it is a sum"),
            (sum(map(math.sqrt, squares)), "the inertia adds distances: it adds their squares"),
            (lloyd(points, start, max(0, iters - 1))[2], "the inertia is that of the round before"),
            (stale, "the inertia belongs to the groups before the last move"),
        ]
        return name_the_mistake(
            answer["inertia"],
            [(value, f"{words}; {given}") for value, words in suspects],
            f"the inertia is not the sum of squared distances to the centroids; {given}",
            **loose,
        )


# -------------------------------------------------------------------------------- 9.7 Auto-CoT


class AutoCot(HiddenCheck):
    """9.7: groups a hundred apart; candidates at and over each limit; lengths in characters that say nothing."""

    exercise = "auto-cot"
    uses = ("auto_cot",)
    criteria = {"one a cluster": 1.5, "nearest first": 1.0, "limits": 1.0, "asks what it must": 0.5}
    forbids = dict.fromkeys(
        ("torch.minimum",), "spreading out without clusters is the page's stand-in: use the clusters"
    )

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Each candidate: tokens, steps, and whether it has an answer."""
        good, at_limit = (9, 2, True), (60, 5, True)
        long, wordy, silent = (61, 2, True), (9, 6, True), (9, 2, False)
        for criterion, groups in (
            (
                "one a cluster",
                [[good] * 4, [long, good, good], [wordy, silent, good, good], [silent, long, wordy, good]],
            ),
            ("one a cluster", [[long, wordy], [good] * 3, [silent] * 2, [good, long]]),
            ("one a cluster", [[good]]),
            ("nearest first", [[good] * 6, [good] * 4, [good] * 5]),
            ("nearest first", [[long, good, good, good], [silent, wordy, good, good, good]]),
            ("limits", [[at_limit, good], [(60, 1, True), good], [(3, 5, True), good]]),
            ("limits", [[long, good], [(61, 5, True), good], [wordy, good], [silent, good]]),
            ("asks what it must", [[long, wordy, silent, good, good], [good, good, good], [long, long]]),
            ("asks what it must", [[wordy, good, wordy], [long, good, long, good]]),
        ):
            yield Case(criterion, self._draw(rng, groups))

    def _draw(self, rng: np.random.Generator, groups: Sequence[Sequence[tuple[int, int, bool]]]) -> Any:
        """Questions in random order; the first candidate of a group is the nearest to its middle."""
        dims = 3
        # Two points are equally far from their mean: a third, never taken, lets the first be nearer.
        groups = [[*group, (61, 2, True)] if len(group) == 2 else group for group in groups]
        middles = np.eye(dims + 1)[: len(groups), :dims] * 300 + rng.normal(size=(len(groups), dims))
        rows = []
        for number, (middle, group) in enumerate(zip(middles, groups, strict=True)):
            while True:
                offsets = rng.normal(size=(len(group), dims)) * (0.5 + np.arange(len(group)))[:, None]
                offsets -= offsets.mean(axis=0)
                lengths = np.linalg.norm(offsets, axis=1)
                if len(group) == 1 or np.diff(np.sort(lengths)).min() > 0.05:
                    break
            for offset, (tokens, steps, answered) in zip(offsets[np.argsort(lengths)], group, strict=True):
                name = "x" * int(rng.integers(1, 99)) + f" {number} {len(rows)}"
                rows.append((name, middle + offset, tokens, steps, answered, number))
        order = rng.permutation(len(rows)).tolist()
        rows = [rows[at] for at in order]
        return {
            "questions": [row[0] for row in rows],
            "vectors": np.stack([row[1] for row in rows]),
            "tokens": [row[2] for row in rows],
            "steps": [row[3] for row in rows],
            "answered": [row[4] for row in rows],
            "group": [row[5] for row in rows],
            "ranks": [order[at] for at in range(len(rows))],
            "k": len(groups),
            "lines": bool(rng.integers(2)),
            "seed": int(rng.integers(2**31)),
        }

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The demonstrations, and what embed and solve were asked."""
        import torch

        row_of = {question: row for row, question in enumerate(inputs["questions"])}
        embedded, asked = [], []

        def embed(texts):  # type: ignore[no-untyped-def]
            embedded.append(len(texts))
            return torch.tensor(inputs["vectors"])[[row_of[text] for text in texts]]

        def n_tokens(text):  # type: ignore[no-untyped-def]
            return inputs["tokens"][row_of[text]]

        def solve(question):  # type: ignore[no-untyped-def]
            asked.append(question)
            row = row_of[question]
            between = "\n" if inputs["lines"] else " "
            rationale = between.join(f"Step {number} of {row}." for number in range(inputs["steps"][row]))
            return rationale, f"The answer is {row}." if inputs["answered"][row] else None

        questions = list(inputs["questions"])
        rng = torch.Generator().manual_seed(inputs["seed"])
        demos = student.auto_cot(questions, embed, inputs["k"], solve, n_tokens, rng)
        return {
            "demos": [[demo.question, demo.rationale, demo.answer, int(demo.cluster)] for demo in demos],
            "embedded": embedded,
            "asked": asked,
            "intact": questions == inputs["questions"],
        }

    def judge(self, case: Case, answer: Any) -> Verdict:
        """What was chosen in each group, then its form, then what was asked."""
        inputs = case.inputs
        names, group = inputs["questions"], inputs["group"]
        row_of = {question: row for row, question in enumerate(names)}
        if not answer["intact"]:
            return wrong("the list of questions was changed by the call")
        chosen: dict[int, list[int]] = {number: [] for number in range(inputs["k"])}
        for question, *_ in answer["demos"]:
            chosen[group[row_of[question]]].append(row_of[question])
        asked = [row_of[question] for question in answer["asked"]]
        needed = 0
        for number, got in chosen.items():
            members = sorted(
                (row for row in range(len(names)) if group[row] == number), key=inputs["ranks"].__getitem__
            )
            told = [
                f"{inputs['tokens'][row]} tokens, {inputs['steps'][row]} steps"
                f"{'' if inputs['answered'][row] else ', no answer'}"
                for row in members
            ]
            given = f"a cluster's questions, nearest first: {'; '.join(told)}"
            short = [row for row in members if inputs["tokens"][row] <= 60]
            fitting = [row for row in short if inputs["steps"][row] <= 5 and inputs["answered"][row]]
            needed += len(short[: short.index(fitting[0]) + 1] if fitting else short)
            if len(got) > 1:
                return wrong(f"{len(got)} demonstrations of one cluster: it gives one; {given}")
            for row in got:
                if inputs["tokens"][row] > 60:
                    return wrong(
                        f"a question of {inputs['tokens'][row]} tokens was taken: at most 60, by n_tokens; {given}"
                    )
                if not inputs["answered"][row]:
                    return wrong(f"a question without an answer was taken: the next one is tried; {given}")
                if inputs["steps"][row] > 5:
                    return wrong(f"a rationale of {inputs['steps'][row]} steps was taken: at most 5; {given}")
            if not got and fitting:
                if fitting[0] != members[0]:
                    return wrong(
                        f"a cluster was lost: when its first question does not fit, the next is tried; {given}"
                    )
                return wrong(f"a question within the limits was not taken; {given}")
            if got and got[0] != fitting[0]:
                first = fitting[0]
                if (inputs["tokens"][first], inputs["steps"][first]) != (9, 2):
                    return wrong(f"60 tokens and 5 steps are still allowed, by n_tokens and count_steps; {given}")
                if got[0] == fitting[-1]:
                    return wrong(f"the farthest question was taken: begin with the nearest to the centroid; {given}")
                return wrong(
                    f"no. {fitting.index(got[0]) + 1} was taken: the nearest to its own centroid comes first; {given}"
                )
        clusters = [cluster for *_, cluster in answer["demos"]]
        if clusters != sorted(set(clusters)) or not all(0 <= cluster < inputs["k"] for cluster in clusters):
            return wrong(
                f"`cluster` must be the number of the demonstration's cluster, in rising order; got {clusters}"
            )
        for question, rationale, said, _ in answer["demos"]:
            row = row_of[question]
            if f"of {row}." not in rationale or said != f"The answer is {row}.":
                return wrong(
                    f"rationale or answer is not what solve returned for its question: {rationale!r}, {said!r}"
                )
        if answer["embedded"] != [len(names)]:
            return wrong(f"embed was called with {answer['embedded']} texts: call it once, with all {len(names)}")
        if case.criterion == "asks what it must" and len(asked) != needed:
            return wrong(
                f"solve was asked {len(asked)} times, {needed} are enough: not about questions that are too long, and "
                "no more once a cluster has its demonstration"
            )
        return right()


# ----------------------------------------------------------------------------- 9.8 tree search


def searched(
    children: Sequence[Sequence[int]], values: Sequence[float], beam: int, depth: int, how: str = ""
) -> tuple[list[int], list[int], list[int]]:
    """Path, judged and expanded states; `how` turns on one misunderstanding."""
    parent: dict[int, int | None] = {0: None}
    met, judged, expanded = [0], [0], list[int]()
    level, last = [0], [0]
    for _ in range(depth):
        found: list[int] = []
        for state in level:
            expanded.append(state)
            for after in children[state]:
                if after in parent:
                    continue
                parent[after] = state
                met.append(after)
                judged.append(after)
                found.append(after)
        if how == "per parent":
            kept = []
            for state in level:
                own = [after for after in found if parent[after] == state]
                kept += sorted(own, key=lambda after: -values[after])[:beam]
            level = kept
        elif how == "worst":
            level = sorted(found, key=lambda after: values[after])[:beam]
        else:
            level = sorted(found, key=lambda after: -values[after])[: 1 if how == "greedy" else beam]
        last = level or last
    pool = last if how == "last level" else met
    best = max(values[state] for state in pool)
    ends = [state for state in pool if values[state] == best]
    at: int | None = ends[-1] if how == "last best" else ends[0]
    path = []
    while at is not None:
        path.append(at)
        at = parent[at]
    return path[::-1], judged, expanded


class TreeSearch(HiddenCheck):
    """9.8: graphs with many ways to one state and back; values that tie; the best at any level."""

    exercise = "tree-search"
    uses = ("tree_search",)
    criteria = {"path": 1.0, "work": 1.0}
    forbids = dict.fromkeys(
        ("heapq.heappop", "heapq.heappush", "heapq.heapify", "heapq.heappushpop"),
        "a queue without levels is the page's stand-in: search level by level",
    )

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Graphs in which every misunderstanding gives another path or does other work; then small ones."""
        for criterion in self.criteria:
            for beam, depth, spread in ((2, 4, 40), (3, 5, 4), (4, 3, 9), (1, 5, 30)):
                yield Case(criterion, self._telling(rng, beam, depth, spread))
            yield Case(criterion, {**self._graph(rng, 30, 5), "beam": 3, "depth": 0})
            yield Case(
                criterion, {"children": [[1, 1, 0], [2, 0], [1, 2]], "values": [1, 2, 2], "beam": 2, "depth": 40}
            )
            yield Case(criterion, {"children": [[1, 2], [], []], "values": [5, 1, 5], "beam": 2, "depth": 3})

    def _graph(self, rng: np.random.Generator, size: int, spread: int) -> dict[str, Any]:
        children = [rng.integers(0, size, size=int(rng.integers(0, 5))).tolist() for _ in range(size)]
        children[0] = rng.integers(1, size, size=4).tolist()
        return {"children": children, "values": rng.integers(0, spread, size=size).tolist()}

    def _telling(self, rng: np.random.Generator, beam: int, depth: int, spread: int) -> dict[str, Any]:
        """A graph on which as many misunderstandings as possible show."""
        best, kept = -1, {}
        for _ in range(120):
            graph = self._graph(rng, 60, spread)
            ends = {
                tuple(searched(graph["children"], graph["values"], beam, depth, how)[0])
                for how in ("", "greedy", "per parent", "worst", "last level", "last best")
            }
            shown = len(ends)
            if shown > best:
                best, kept = shown, {**graph, "beam": beam, "depth": depth}
        return kept

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The path, and every state that was judged or expanded, as numbers."""
        judged, expanded = [], []

        def expand(state):  # type: ignore[no-untyped-def]
            expanded.append(state[1])
            if len(expanded) > 5000:
                raise RuntimeError("expand was called more than 5,000 times")
            return [("state", after) for after in inputs["children"][state[1]]]

        def value(state):  # type: ignore[no-untyped-def]
            judged.append(state[1])
            return inputs["values"][state[1]]

        path = student.tree_search(expand, value, ("state", 0), inputs["beam"], inputs["depth"])
        return {
            "path": [state[1] for state in path] if isinstance(path, list) else None,
            "judged": judged,
            "expanded": expanded,
        }

    def judge(self, case: Case, answer: Any) -> Verdict:
        """The path against those of each misunderstanding; the work by its counts."""
        args = [case.inputs[name] for name in ("children", "values", "beam", "depth")]
        path, judged, expanded = searched(*args)
        values = case.inputs["values"]
        given = f"beam={args[2]}, depth={args[3]}"
        got = answer["path"]
        if case.criterion == "work":
            twice = [state for state, count in Counter(answer["judged"]).items() if count > 1]
            if twice:
                return wrong(f"value was asked {Counter(answer['judged'])[twice[0]]} times about one state; {given}")
            twice = [state for state, count in Counter(answer["expanded"]).items() if count > 1]
            if twice:
                return wrong(
                    f"a state was expanded {Counter(answer['expanded'])[twice[0]]} times: it was met before; {given}"
                )
            if sorted(answer["expanded"]) != sorted(expanded):
                for how, words in (
                    ("per parent", "the best `beam` of every state went on: the best `beam` of the whole level do"),
                    ("greedy", "only one state of each level went on: keep the best `beam`"),
                    ("worst", "the states with the lowest values went on"),
                ):
                    if sorted(answer["expanded"]) == sorted(searched(*args, how)[2]):
                        return wrong(f"{words}; {given}")
            if len(answer["expanded"]) > len(expanded):
                return wrong(
                    f"expand was called {len(answer['expanded'])} times where {len(expanded)} do: at most `beam` "
                    f"states of a level, `depth` levels; {given}"
                )
            if sorted(answer["expanded"]) != sorted(expanded):
                return wrong(f"other states were expanded than the best {args[2]} new ones of each level; {given}")
            if sorted(answer["judged"]) != sorted(judged):
                return wrong(f"{len(answer['judged'])} states were judged where {len(judged)} were met; {given}")
            return right()
        if got is None:
            return wrong(f"return the path as a list of states, the root first; {given}")
        if got == path:
            return right()
        if got and got[0] != 0:
            return wrong(
                f"the path does not begin with the root; {given}"
                if 0 not in got
                else f"the path runs backwards; {given}"
            )
        for how, words in (
            ("greedy", "only one state of each level went on: keep the best `beam`"),
            ("last level", "the best of the last level was returned: an earlier state may be better"),
            ("worst", "the states with the lowest values went on"),
            ("per parent", "the best `beam` of every state went on: the best `beam` of the whole level do"),
            ("last best", "of equally good states the last was taken: the one found first counts"),
        ):
            if got == searched(*args, how)[0]:
                return wrong(f"{words}; {given}")
        if values[got[-1]] < values[path[-1]]:
            return wrong(
                f"the path ends in a state worth {values[got[-1]]}, and a better one was within reach; {given}"
            )
        return wrong(f"the path is not the one on which its states were first met; {given}")


# ----------------------------------------------------------------------------------- 9.9 ReAct


def transcript_pattern(turns: Sequence[str], question: str, max_steps: int) -> tuple[str | None, str, int]:
    """The answer, a pattern of the transcript, and the turns taken, line by line."""
    pattern = re.escape(f"Question: {question}")
    for number in range(max_steps):
        lines = []
        for line in turns[number].split("\n"):
            if line.startswith("Observation:"):
                break
            lines.append(line)
        lines = "\n".join(lines).strip().split("\n")
        action = next((at for at, line in enumerate(lines) if re.fullmatch(r"Action: \w+\[.*\][^\]]*", line)), None)
        if action is None:
            pattern += re.escape("\n" + "\n".join(lines)) + r"\nObservation: [^\n]*Action[^\n]*"
            continue
        line = lines[action]
        name, _, rest = line.removeprefix("Action: ").partition("[")
        given = rest[: rest.rindex("]")]
        upto = [*lines[:action], line[: line.rindex("]") + 1]]
        pattern += re.escape("\n" + "\n".join(upto))
        if name == "finish":
            return given, pattern, number + 1
        if name == "look":
            pattern += re.escape(f"\nObservation: <{given}>\n  and more of {given}")
        else:
            pattern += r"\nObservation: [^\n]*" + ("fuse is blown" if name == "fail" else name) + r"[^\n]*"
    return None, pattern, max_steps


SUMS = (
    ("2 + 3 * 4", "14"),
    ("(2 + 3) * 4", "20"),
    ("-(7 - 10) * 3", "9"),
    ("1 / 8", "0.125"),
    ("6 / 2", "3"),
    ("2.5 * 4", "10"),
    ("10 - 4 - 3", "3"),
    ("16 / 4 / 2", "2"),
    (" 7 ", "7"),
    ("-3", "-3"),
    ("0 * 5", "0"),
    ("2 - -3", "5"),
)
NO_SUMS = (
    "",
    "2 +",
    "x + 1",
    "abs(3)",
    "__import__('os').getcwd()",
    "'a' * 3",
    "[1][0]",
    "1 < 2",
    "1 if 2 else 3",
    "True + 1",
    "1 / 0",
    "3 / (2 - 2)",
    "1; 2",
    "a = 1",
    "(lambda: 1)()",
    "1 and 2",
    "1j * 1j",
    "~1",
    "2 << 3",
    "6 & 3",
    "not 1",
)


class React(HiddenCheck):
    """9.9: a calculator that knows nothing else; policies that invent, err, never end, and use brackets."""

    exercise = "react"
    uses = ("calculate", "react")
    criteria = {"calculator": 0.5, "observations": 0.5, "loop": 0.5, "what goes wrong": 0.5}
    forbids = dict.fromkeys(
        ("eval", "exec", "builtins.eval", "builtins.exec", "compile"),
        "what a model writes is never run: walk the tree of ast.parse and calculate yourself",
    )

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Sums with known values and texts that are none; then transcripts."""
        drawn = []
        for _ in range(8):
            a, b, c = rng.integers(2, 60, size=3).tolist()
            drawn += [
                (f"{a} + {b} * {c}", str(a + b * c)),
                (f"({a} - {b}) * {c}", str((a - b) * c)),
                (f"{a * b}/{b}", str(a)),
            ]
        pairs = [*SUMS, *drawn]
        yield Case("calculator", {"texts": [text for text, _ in pairs]}, {"wants": [want for _, want in pairs]})
        yield Case("calculator", {"texts": list(NO_SUMS)}, {"wants": [None] * len(NO_SUMS)})
        word = str(rng.choice(WORDS))
        look = f"Thought: I look.\nAction: look[{word}]"
        for criterion, steps, turns in (
            ("observations", 5, [look, "Action: finish[done]"]),
            ("observations", 5, [f"Action: look[a [{word}] c]", "  \nSo it is.\nAction: finish[f[0] = 1]\n"]),
            ("observations", 6, [f"{look}\nObservation: 43\nAction: finish[43]", "Action: finish[42]"]),
            ("observations", 6, ["So.\nObservation: 44\nAction: finish[44]", look, "Action: finish[2]"]),
            ("loop", 5, [f"{look}\nAction: finish[too early]", "Action: finish[1]\nAction: finish[2]"]),
            ("loop", 3, [look] * 9),
            ("loop", 1, [look] * 4),
            ("loop", 1, ["Action: finish[]"]),
            ("loop", 2, [look, "I know.\n\nAction: finish[5]", "Action: finish[6]"]),
            ("what goes wrong", 5, ["Action: seek[x]", "Action: finish[5]"]),
            ("what goes wrong", 5, ["Thought: try.\nAction: fail[x]", look, "Action: finish[5]"]),
            ("what goes wrong", 5, ["I think it is 5.", "", "Action: finish[5]"]),
            ("what goes wrong", 2, ["Hm.", "Action: nothing[1]", "Action: finish[5]"]),
        ):
            yield Case(criterion, {"turns": turns, "steps": steps, "question": f"Where is the {word}?"})

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """Values of texts, or the answer and transcript of a scripted policy with what it read."""
        if "texts" in inputs:
            found = []
            for text in inputs["texts"]:
                try:
                    value = student.calculate(text)
                    found.append([value if value is None else str(value), type(value).__name__])
                except ValueError:
                    found.append([None, "ValueError"])
                except Exception as error:
                    found.append([None, type(error).__name__])
            return found
        read = []

        def policy(transcript):  # type: ignore[no-untyped-def]
            read.append(str(transcript))
            if len(read) > inputs["steps"] + 3:
                raise SystemError("the policy was asked again and again")
            return (inputs["turns"] + ["Action: look[on]"] * 20)[len(read) - 1]

        def fail(text):  # type: ignore[no-untyped-def]
            raise RuntimeError("the fuse is blown")

        tools = {"look": lambda text: f"<{text}>\n  and more of {text}", "fail": fail}
        try:
            answer, transcript = student.react(policy, tools, inputs["question"], inputs["steps"])
        except Exception as error:
            return {"error": f"{type(error).__name__}: {error}"[:200], "read": read}
        return {"answer": None if answer is None else str(answer), "transcript": str(transcript), "read": read}

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Values one by one; of a transcript the calls, the answer, then its parts."""
        inputs = case.inputs
        if case.criterion == "calculator":
            for text, want, (got, kind) in zip(inputs["texts"], case.secret["wants"], answer, strict=True):
                if want is None:
                    if kind == "ValueError":
                        continue
                    what = f"gave {got!r}" if got is not None else f"raised {kind}"
                    return wrong(f"{text!r} {what}: whatever is no arithmetic, or has no value, is a ValueError")
                if got != want or kind != "str":
                    if got is not None and got.removesuffix(".0") == want and kind == "str":
                        return wrong(f"{text!r} gave {got!r}: a whole result has no decimal point")
                    return wrong(f"{text!r} gave {got!r} ({kind}), which is not its value as text")
            return right()
        turns, steps = inputs["turns"], inputs["steps"]
        given = f"max_steps={steps}, the policy's turns were {turns[:3]}"
        want, pattern, taken = transcript_pattern([*turns, *["Action: look[on]"] * 20], inputs["question"], steps)
        read = answer["read"]
        if len(read) > steps:
            return wrong(f"the policy was asked {len(read)} times: max_steps ends the loop; {given}")
        if "error" in answer:
            if "seek[" in str(turns) or "nothing[" in str(turns):
                return wrong(
                    f"a tool that does not exist ended the loop ({answer['error']}): it is an observation; {given}"
                )
            if "fail[" in str(turns):
                return wrong(f"a tool's error ended the loop ({answer['error']}): it is an observation; {given}")
            return wrong(f"the loop broke with {answer['error']}; {given}")
        transcript = answer["transcript"]
        for invented in ("43", "44"):
            if invented in transcript or answer["answer"] == invented:
                return wrong(f"an observation that the policy invented was kept: only tools observe; {given}")
        if answer["answer"] != want:
            if want is None:
                return wrong(f"the turns were used up, so the answer is None, not {answer['answer']!r}; {given}")
            if answer["answer"] in ("2", "too early") and "finish[1]" in str(turns):
                return wrong(f"of several actions in one turn the first counts; {given}")
            return wrong(f"the answer was {answer['answer']!r}; {given}")
        if len(read) != taken:
            return wrong(f"the policy was asked {len(read)} times where {taken} turns were due; {given}")
        if read and read[0] != f"Question: {inputs['question']}\n":
            return wrong(f"the policy first reads the question and a new line; it read {read[0]!r}")
        if any(not text.endswith("\n") or not transcript.startswith(text.rstrip("\n")) for text in read):
            return wrong(f"the policy must read the whole transcript so far, up to a new line; {given}")
        if re.fullmatch(pattern, transcript):
            return right()
        if transcript != transcript.rstrip("\n"):
            return wrong(f"the returned transcript ends in a new line; {given}")
        if "look[" in str(turns) and "\n  and more of" not in transcript:
            return wrong(f"the observation must be the tool's own words, unchanged; the transcript was {transcript!r}")
        if re.search(r"(?m)^Observation: *$", transcript):
            return wrong(f"an observation is empty: it must say what went wrong; the transcript was {transcript!r}")
        if case.criterion == "what goes wrong":
            return wrong(
                "an observation must name the missing tool, hold the error's message, or ask for an Action; the "
                f"transcript was {transcript!r}"
            )
        return wrong(f"the transcript is not built as the card says; it was {transcript!r}")

"""The hidden checks of chapter 2: what a right answer must do, and what each wrong one is told.

Expected values are computed here, by other routes than the solutions take. Words are random ones over a small
alphabet, so that pairs repeat, overlap and tie; tables have rows of very different lengths.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import regex

from grader.comparing import close, name_the_mistake
from grader.hidden import Case, HiddenCheck, Verdict, right, wrong

Pair = tuple[int, int]
T = TypeVar("T")


def shown(values: Sequence[Any], most: int = 14) -> str:
    """A list for a message, cut where it gets long."""
    text = ", ".join(map(str, values[:most]))
    return f"[{text}{', ...' if len(values) > most else ''}]"


# --------------------------------------------------------------------------------- 2.1 counting pairs


class PairCounts(HiddenCheck):
    """2.1: every wrong way of counting has a value of its own on words that repeat and overlap."""

    exercise = "pair-counts"
    uses = ("pair_counts",)
    criteria = {"weighted counts": 1.0, "overlaps": 0.5, "borders and input": 0.5}
    forbids = dict.fromkeys(
        ("re.findall", "re.finditer", "regex.findall", "regex.finditer"),
        "the detour through a pattern is the page's stand-in: walk over the neighbours",
    )

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Random words over few tokens, each with its own count; then runs of one token; then short words."""
        for tokens, amount in [(4, 6), (300, 9)]:
            words = {tuple(rng.integers(0, tokens, size=rng.integers(2, 9)).tolist()) for _ in range(amount)}
            yield Case("weighted counts", {"words": [[list(word), int(rng.integers(2, 30))] for word in sorted(words)]})
        runs = [[[7] * int(length), int(rng.integers(2, 9))] for length in rng.permutation(np.arange(2, 7))]
        yield Case("overlaps", {"words": runs})
        first, second = rng.choice(np.arange(10, 90), size=2, replace=False).tolist()
        yield Case("borders and input", {"words": [[[first], 3], [[second], 4], [[], 2], [[first, second, first], 5]]})
        yield Case("borders and input", {"words": []})

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The counts as a list, and the words as the call left them."""
        from collections import Counter

        words = Counter({tuple(word): count for word, count in inputs["words"]})
        counts = student.pair_counts(words)
        return {
            "counts": [[list(pair), count] for pair, count in counts.items()],
            "after": [[list(word), count] for word, count in words.items()],
        }

    def judge(self, case: Case, answer: Any) -> Verdict:
        """The input first, then the counts against those of each misconception."""
        words = [(tuple(word), count) for word, count in case.inputs["words"]]
        if sorted(answer["after"]) != sorted([list(word), count] for word, count in words):
            return wrong(f"the words were changed by the call: {len(answer['after'])} of {len(words)} are as they were")
        got = {tuple(pair): count for pair, count in answer["counts"]}
        want = Counter[Pair]()
        for word, count in words:
            for at in range(len(word) - 1):
                want[word[at], word[at + 1]] += count
        given = f"the words were {shown(words, 4)}"
        if got == dict(want):
            return right()
        if {pair for pair, count in got.items() if not count} and +Counter(got) == want:
            return wrong(f"pairs that do not occur are in the result, with a count of 0; {given}")
        for suspect, says in self._suspects(words):
            if +Counter(got) == +suspect:
                return wrong(f"{says}; {given}")
        extra = sorted(set(got) - set(want))
        if extra:
            return wrong(f"the pair {extra[0]} stands in no word; {given}")
        return wrong(f"the counts of {sum(got.get(pair) != want[pair] for pair in want)} pairs are not right; {given}")

    @staticmethod
    def _suspects(words: Sequence[tuple[tuple[int, ...], int]]) -> Iterable[tuple[Counter[Pair], str]]:
        unweighted = Counter(pair for word, _ in words for pair in pairwise(word))
        yield unweighted, "each word is counted once: multiply by how often it occurs"
        text = [token for word, count in words for token in word * count]
        yield Counter(pairwise(text)), "the words are joined: a pair must not reach from one word into another"
        text = [token for word, _ in words for token in word]
        yield Counter(pairwise(text)), "the words are joined: a pair must not reach from one word into another"
        apart, halves, unordered = Counter[Pair](), Counter[Pair](), Counter[Pair]()
        for word, count in words:
            at = 0
            while at + 1 < len(word):
                apart[word[at], word[at + 1]] += count
                at += 2 if word[at] == word[at + 1] else 1
            for pair in zip(word[::2], word[1::2], strict=False):
                halves[pair] += count
            for left, right_ in pairwise(word):
                unordered[min(left, right_), max(left, right_)] += count
        yield apart, "pairs that overlap are skipped: (7, 7, 7) holds the pair (7, 7) twice"
        yield halves, "only every second pair is counted: neighbours overlap"
        yield unordered, "(1, 2) and (2, 1) are counted as one: the order is part of a pair"


# ----------------------------------------------------------------------------------- 2.2 merging one pair


def merged(ids: Sequence[T], pair: Sequence[T], new_id: T) -> list[T]:
    """The ids (or tokens) with the pair replaced, by looking back at what was written."""
    out: list[T] = []
    open_left = False
    for token in ids:
        if open_left and token == pair[1]:
            out[-1] = new_id
            open_left = False
        else:
            out.append(token)
            open_left = token == pair[0]
    return out


class BpeMerge(HiddenCheck):
    """2.2: runs, tails, empty lists, and a pair of two equal tokens."""

    exercise = "bpe-merge"
    uses = ("bpe_merge",)
    criteria = {"every occurrence": 1.0, "overlaps": 0.5, "ends and input": 0.5}
    forbids = dict.fromkeys(
        (".replace", "re.sub", "regex.sub"), "the detour through strings is the page's stand-in: walk over the list"
    )

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Lists over two or three tokens, in which the pair is frequent."""
        for tokens, size in [(3, 40), (2, 25)]:
            left, right_ = rng.choice(tokens, size=2, replace=False).tolist()
            ids = [*rng.integers(0, tokens, size=size).tolist(), left, right_, tokens - 1]
            yield Case("every occurrence", {"ids": ids, "pair": [left, right_], "new_id": 300})
        for length in (2, 3, 4, 5, 9):
            around = [1] * int(rng.integers(0, 3))
            yield Case("overlaps", {"ids": [*around, *[6] * length, 2], "pair": [6, 6], "new_id": 256})
        for ids in ([], [4], [4, 5], [5, 4], [1, 4, 5], [4, 5, 4], [2, 3]):
            yield Case("ends and input", {"ids": ids, "pair": [4, 5], "new_id": 257})

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The merged list, and the list that was given as the call left it."""
        ids = list(inputs["ids"])
        out = student.bpe_merge(ids, tuple(inputs["pair"]), inputs["new_id"])
        return {"out": list(out), "after": ids, "same": out is ids}

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Hygiene, then the list against those of each misconception."""
        ids, pair, new_id = list(case.inputs["ids"]), tuple(case.inputs["pair"]), case.inputs["new_id"]
        given = f"the pair {pair} in {shown(ids)}"
        if answer["after"] != ids:
            return wrong(f"the list that was given was changed: build a new one; {given}")
        if answer["same"]:
            return wrong(f"the same list came back; a new one was asked, also where nothing is merged; {given}")
        got = answer["out"]
        if got == merged(ids, pair, new_id):
            return right()
        places = [at for at in range(len(ids) - 1) if (ids[at], ids[at + 1]) == pair]
        if places:
            first = [*ids[: places[0]], new_id, *ids[places[0] + 2 :]]
            if got == first:
                return wrong(f"only the first occurrence was merged; {given}")
            backwards = merged(ids[::-1], pair[::-1], new_id)[::-1]
            if got == backwards:
                return wrong(f"merged from the right; of two that overlap the left one is merged; {given}")
        overlapping = [new_id if at in places else ids[at] for at in range(len(ids))]
        for kept in (overlapping, overlapping[:-1], [token for token in overlapping if token != pair[1]]):
            if places and got == kept:
                return wrong(f"a token that was merged was used again, or stayed beside the new one; {given}")
        if ids and got == merged(ids, pair, new_id)[:-1]:
            return wrong(f"the last token is lost: it has no right neighbour, and stays all the same; {given}")
        if got == merged(merged(ids, pair[::-1], new_id), pair, new_id) or got == merged(ids, pair[::-1], new_id):
            return wrong(f"the order of the pair is part of it: {pair[::-1]} is another one; {given}")
        return wrong(f"{len(got)} tokens came back, and they are not the merged list; {given}")


# --------------------------------------------------------------------------------------- 2.3 training

WORD = regex.compile(r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")


def trained(
    text: str,
    vocab_size: int,
    specials: Sequence[str] = (),
    *,
    ties: str = "bytes",
    cut: str = "words",
    weighted: bool = True,
) -> tuple[dict[int, bytes], list[tuple[bytes, bytes]]]:
    """The reference: words as lists of byte strings, everything counted anew in each round.

    The keywords turn single decisions into the ones of common mistakes.
    """
    parts = [text]
    if cut != "specials are text":
        for special in sorted(specials, key=len, reverse=True):
            parts = [piece for part in parts for piece in part.split(special)]
    cutters = {"whole": lambda part: [part], "trailing": lambda part: regex.findall(r"\s*\S+\s?|\s+", part)}
    words = Counter(word for part in parts for word in cutters.get(cut, WORD.findall)(part) if word)
    lists = [([bytes([byte]) for byte in word.encode()], count if weighted else 1) for word, count in words.items()]
    merges: list[tuple[bytes, bytes]] = []
    while len(merges) < vocab_size - 256 - len(specials):
        counts = Counter[tuple[bytes, bytes]]()
        for tokens, count in lists:
            for pair in pairwise(tokens):
                counts[pair] += count
        if not counts:
            break
        best = max(counts.values())
        tied = [pair for pair, count in counts.items() if count == best]
        chosen = {
            "bytes": max,
            "least": min,
            "first": lambda pairs: pairs[0],
            "joined": lambda pairs: max(pairs, key=b"".join),
        }
        left, right_ = chosen[ties](tied)
        merges.append((left, right_))
        lists = [(merged(tokens, (left, right_), left + right_), count) for tokens, count in lists]
    vocab = {byte: bytes([byte]) for byte in range(256)}
    for token in [*(left + right_ for left, right_ in merges), *(special.encode() for special in specials)]:
        vocab[len(vocab)] = token
    return vocab, merges


LETTERS = {"plain": list("abdeinorst"), "wide": list("aeéßшж中🙂")}


def _text(rng: np.random.Generator, letters: Sequence[str], amount: int) -> str:
    """Words drawn with very unequal frequencies, so that counts differ, with punctuation and line ends."""
    words = ["".join(rng.choice(letters, size=rng.integers(1, 7))) for _ in range(amount // 5)]
    drawn = rng.choice(words, size=amount, p=rng.dirichlet(np.full(len(words), 0.4)))
    ends = rng.choice([" ", " ", " ", ", ", ".\n", "  "], size=amount)
    return "".join(word + end for word, end in zip(drawn, ends, strict=True))


class TrainBpe(HiddenCheck):
    """2.3: merges and vocabulary against the reference, each decision under a criterion of its own."""

    exercise = "train-bpe"
    uses = ("train_bpe",)
    criteria = {"merges": 2.0, "ties": 1.0, "special tokens": 1.0, "where it ends": 1.0}
    forbids = {
        **dict.fromkeys(
            (
                "tokenizers.Tokenizer",
                "tokenizers.trainers.BpeTrainer",
                ".train_from_iterator",
                "tokenizers.ByteLevelBPETokenizer",
            ),
            "a ready-made trainer: count, choose and merge yourself",
        ),
        **dict.fromkeys(
            ("byhand.corpora.tokenizer.train_tokenizer", "train_tokenizer", "compiled_bpe"),
            "that trainer is the page's stand-in: count, choose and merge yourself",
        ),
    }

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Texts of drawn words, one with letters of two to four bytes; ties by construction; specials; short texts."""
        yield Case("merges", {"text": _text(rng, LETTERS["plain"], 400), "vocab_size": 330})
        yield Case("merges", {"text": _text(rng, LETTERS["wide"], 300), "vocab_size": 300})
        yield Case("merges", {"text": "low low lower it's 2024! low;  newest newest\n\nwidest " * 3, "vocab_size": 290})
        letters = rng.permutation(list("bcdfghklmn")).tolist()
        pairs = [letters[at] + letters[at + 1] for at in range(0, 10, 2)]
        yield Case("ties", {"text": " ".join([*pairs, "a" + pairs[0][0], "ab"]), "vocab_size": 264})
        # equal left bytes up to a prefix: comparing joined bytes, or pairs of ids, chooses otherwise
        yield Case(
            "ties",
            {"text": "".join(f"{word}\n" for word in ["xyx"] * 3 + ["xy"] * 2 + ["zx", "zy"] * 2), "vocab_size": 261},
        )
        yield Case("ties", {"text": "ba" * 2 + "\n" + "bb" * 2 + "\n" + "b\u0430" * 3, "vocab_size": 266})
        mark, other = "<|endoftext|>", "<|end|>"
        body = _text(rng, LETTERS["plain"], 60)
        text = "".join(part + mark for part in body.split("\n")) + other + mark
        yield Case("special tokens", {"text": text, "vocab_size": 290, "specials": [other, mark]})
        yield Case("special tokens", {"text": "a|b|a|b.c|a|b" * 3, "vocab_size": 262, "specials": ["|", ".c"]})
        overlapping = "xyzabcxyzabxyzabc" * 2
        yield Case("special tokens", {"text": overlapping, "vocab_size": 262, "specials": ["ab", "abc"]})
        yield Case("where it ends", {"text": "sea see", "vocab_size": 600, "specials": ["<s>"]})
        yield Case("where it ends", {"text": "", "vocab_size": 300})
        yield Case("where it ends", {"text": "abab", "vocab_size": 256})
        yield Case("where it ends", {"text": "abab", "vocab_size": 258, "specials": ["<s>", "<e>"]})
        yield Case("where it ends", {"text": "abab", "vocab_size": 257, "specials": ["<s>", "<e>"]})

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """Vocabulary and merges as lists of bytes in hexadecimal, or the name of the error."""
        settings = (tuple(inputs["specials"]),) if "specials" in inputs else ()
        try:
            vocab, merges = student.train_bpe(inputs["text"], inputs["vocab_size"], *settings)
        except ValueError as error:
            return {"refused": True, "words": str(error)[:200]}
        return {
            "refused": False,
            "kinds": sorted({type(token).__name__ for token in vocab.values()}),
            "vocab": [[int(number), bytes(token).hex()] for number, token in vocab.items()],
            "merges": [[bytes(left).hex(), bytes(right).hex()] for left, right in merges],
        }

    def judge(self, case: Case, answer: Any) -> Verdict:
        """The refusal, the merges (which mistake makes these?), then the vocabulary."""
        text, vocab_size = case.inputs["text"], case.inputs["vocab_size"]
        specials = tuple(case.inputs.get("specials", ()))
        given = f"the text began {text[:30]!r}, vocab_size={vocab_size}" + (
            f", specials={list(specials)}" if specials else ""
        )
        room = vocab_size - 256 - len(specials)
        if answer["refused"] or room < 0:
            if answer["refused"] and room < 0:
                return right()
            if room < 0:
                return wrong(
                    f"256 bytes and {len(specials)} special tokens do not fit: a ValueError was asked; {given}"
                )
            return wrong(f"a ValueError although there is room: {answer['words']}; {given}")
        if set(answer["kinds"]) - {"bytes"}:
            return wrong(f"the values of vocab are bytes, and here some are {answer['kinds'][-1]}; {given}")
        merges = [(bytes.fromhex(left), bytes.fromhex(right_)) for left, right_ in answer["merges"]]
        vocab = {number: bytes.fromhex(token) for number, token in answer["vocab"]}
        want_vocab, want = trained(text, vocab_size, specials)
        if merges == want:
            return self._vocabulary(vocab, want_vocab, want, specials, given)
        for says, keywords in (
            (
                "the parts around a special token are text, the special token is not: its letters were counted",
                {"cut": "specials are text"},
            ),
            ("merges cross the border between words: cut the text with cut_words first", {"cut": "whole"}),
            ("the space after a word was taken into it; cut_words keeps the space in front", {"cut": "trailing"}),
            (
                "of equally frequent pairs the first one seen was merged; the one whose bytes come last is asked",
                {"ties": "first"},
            ),
            (
                "of equally frequent pairs the one whose bytes come first was merged; the last is asked",
                {"ties": "least"},
            ),
            (
                "ties were decided by the joined bytes; compare the left token's bytes first, then the right one's",
                {"ties": "joined"},
            ),
            ("each different word was counted once: multiply by how often it occurs", {"weighted": False}),
        ):
            if merges == trained(text, vocab_size, specials, **keywords)[1]:
                return wrong(f"{says}; {given}")
        longer = trained(text, vocab_size + len(specials) + 256, specials)[1]
        if len(merges) > len(want) and merges == longer[: len(merges)]:
            if specials and len(merges) == room + len(specials):
                return wrong(f"the special tokens have no place of their own in the {vocab_size}; {given}")
            return wrong(
                f"too many merges: bytes, merges and special tokens together are at most {vocab_size}; {given}"
            )
        if merges == want[: len(merges)]:
            return wrong(f"it ends after {len(merges)} merges, too early: there was room, and a pair was left; {given}")
        at = next((at for at, (mine, yours) in enumerate(zip(want, merges, strict=False)) if mine != yours), len(want))
        got = merges[at] if at < len(merges) else None
        return wrong(f"merge number {at + 1} is {got}, which was not the most frequent pair there; {given}")

    @staticmethod
    def _vocabulary(
        vocab: dict[int, bytes],
        want: dict[int, bytes],
        merges: Sequence[tuple[bytes, bytes]],
        specials: Sequence[str],
        given: str,
    ) -> Verdict:
        if vocab == want:
            return right()
        first = dict(enumerate([special.encode() for special in specials], 256))
        if specials and all(vocab.get(number) == token for number, token in first.items()):
            return wrong(f"the special tokens come after the merges, not before them; {given}")
        if len(vocab) < len(want):
            return wrong(
                f"the vocabulary has {len(vocab)} entries; bytes, {len(merges)} merges and the special tokens "
                f"belong in it; {given}"
            )
        if sorted(vocab.values()) == sorted(want.values()):
            return wrong(
                "the ids are not in order: bytes 0 to 255, then the merges as they were made, then the special "
                f"tokens; {given}"
            )
        odd = next(number for number in sorted(vocab) if vocab[number] != want.get(number))
        return wrong(f"id {odd} stands for {vocab[odd]!r}, which it does not; {given}")


# --------------------------------------------------------------------------------------- 2.4 encoding


class BpeEncode(HiddenCheck):
    """2.4: words whose merges compete, with tables in shuffled order; nothing may be lost."""

    exercise = "bpe-encode"
    uses = ("bpe_encode",)
    criteria = {"order of the merges": 2.0, "bytes and input": 1.0}
    forbids = dict.fromkeys(
        (".replace", "re.sub", "regex.sub"), "the detour through strings is the page's stand-in: merge in the list"
    )

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Merges trained on drawn words, given in a random order, used on other words of the same letters."""
        letters = list("abcd")
        # pairs that compete by construction: bc before ab, cd before bc
        compete = {(98, 99): 256, (97, 98): 257, (99, 100): 258, (97, 256): 259, (256, 100): 260, (257, 258): 261}
        words = [[97, 98, 99, 100], [97, 98, 99], [97, 98, 98, 99, 100], [97, 97, 98, 99, 100, 100]]
        yield Case("order of the merges", self._inputs(rng, compete, words))
        for _ in range(3):
            table = _table(trained(_text(rng, letters, 200), 256 + 24))
            words = ["".join(rng.choice(letters, size=rng.integers(4, 14))) for _ in range(12)]
            yield Case("order of the merges", self._inputs(rng, table, [list(word.encode()) for word in words]))
        wide = _table(trained(_text(rng, LETTERS["wide"], 150), 290))
        odd = ["🙂é", "سلام", "中🙂🙂中", "\0\x07\n", "ßжж"]
        yield Case("bytes and input", self._inputs(rng, wide, [list(word.encode()) for word in odd]))
        yield Case("bytes and input", self._inputs(rng, {(97, 97): 256}, [[], [97], [97] * 3, [97] * 4, [255, 0, 255]]))
        yield Case("bytes and input", {"merges": [], "words": [[1, 2, 3]]})

    @staticmethod
    def _inputs(rng: np.random.Generator, table: dict[Pair, int], words: list[list[int]]) -> dict[str, Any]:
        rows = [[list(pair), new_id] for pair, new_id in table.items()]
        return {"merges": [rows[at] for at in rng.permutation(len(rows))], "words": words}

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """Each word's tokens; whether word and table are as they were."""
        merges = {tuple(pair): new_id for pair, new_id in inputs["merges"]}
        before, out, intact = dict(merges), [], True
        for word in inputs["words"]:
            ids = list(word)
            out.append([int(token) for token in student.bpe_encode(ids, merges)])
            intact = intact and ids == word
        return {"out": out, "intact": intact, "table": merges == before}

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Hygiene, nothing lost, then each word against what the misconceptions make of it."""
        merges = {tuple(pair): new_id for pair, new_id in case.inputs["merges"]}
        if not answer["intact"]:
            return wrong("the list of bytes that was given was changed: build a new one")
        if not answer["table"]:
            return wrong("the dictionary of merges was changed by the call")
        parts = {new_id: pair for pair, new_id in merges.items()}
        words, answers = [list(word) for word in case.inputs["words"]], answer["out"]
        for word, got in zip(words, answers, strict=True):
            if _spelled(got, parts) != word:
                spelled = len(_spelled(got, parts))
                return wrong(f"decoding gives {spelled} bytes that are not those of the word {bytes(word)!r}")
        wanted = [_by_rank(word, merges) for word in words]
        if answers == wanted:
            return right()
        odd = next(word for word, got, want in zip(words, answers, wanted, strict=True) if got != want)
        given = f"the word {bytes(odd)!r} with {len(merges)} merges"
        for says, mistaken in (
            (
                "the merge learned last was made first; the one with the smallest new id is asked",
                lambda word: _by_rank(word, merges, latest=True),
            ),
            ("the leftmost possible pair was merged, whenever it was learned", lambda word: _leftmost(word, merges)),
            (
                "merges were made in the order of the dictionary; their age is in the new ids",
                lambda word: _once_each(word, list(merges.items())),
            ),
            (
                "after one walk it was over: new tokens make new pairs, so look again",
                lambda word: _one_walk(word, merges),
            ),
            (
                "each token is the longest one that fits, from the left; merges have an order",
                lambda word: _longest(word, parts),
            ),
        ):
            if answers == [mistaken(word) for word in words]:
                return wrong(f"{says}; {given}")
        if any(pair in merges for got in answers for pair in pairwise(got)):
            return wrong(f"a pair that could still be merged is left in the result; {given}")
        return wrong(f"these are tokens of the word, but not those of its merges in the order of learning; {given}")


def _table(learned: tuple[dict[int, bytes], list[tuple[bytes, bytes]]]) -> dict[Pair, int]:
    number = {token: at for at, token in learned[0].items()}
    return {(number[left], number[right_]): number[left + right_] for left, right_ in learned[1]}


def _spelled(tokens: Sequence[int], parts: dict[int, Pair]) -> list[int]:
    return [byte for token in tokens for byte in (_spelled(parts[token], parts) if token in parts else [token])]


def _by_rank(word: Sequence[int], merges: dict[Pair, int], latest: bool = False) -> list[int]:
    tokens = list(word)
    while possible := [merges[pair] for pair in pairwise(tokens) if pair in merges]:
        chosen = max(possible) if latest else min(possible)
        tokens = merged(tokens, next(pair for pair, new_id in merges.items() if new_id == chosen), chosen)
    return tokens


def _leftmost(word: Sequence[int], merges: dict[Pair, int]) -> list[int]:
    tokens, at = list(word), 0
    while at + 1 < len(tokens):
        pair = (tokens[at], tokens[at + 1])
        if pair in merges:
            tokens[at : at + 2] = [merges[pair]]
            at = 0
        else:
            at += 1
    return tokens


def _once_each(word: Sequence[int], rows: Sequence[tuple[Pair, int]]) -> list[int]:
    tokens = list(word)
    for pair, new_id in rows:
        tokens = merged(tokens, pair, new_id)
    return tokens


def _one_walk(word: Sequence[int], merges: dict[Pair, int]) -> list[int]:
    out, at = [], 0
    while at < len(word):
        pair = tuple(word[at : at + 2])
        out.append(merges.get(pair, word[at]))  # type: ignore[call-overload]
        at += 2 if pair in merges else 1
    return out


def _longest(word: Sequence[int], parts: dict[int, Pair]) -> list[int]:
    spelled = {tuple(_spelled([token], parts)): token for token in parts}
    out, at = [], 0
    while at < len(word):
        size = next((size for size in range(len(word) - at, 1, -1) if tuple(word[at : at + size]) in spelled), 1)
        out.append(spelled.get(tuple(word[at : at + size]), word[at]))
        at += size
    return out


# ------------------------------------------------------------------------------------ 2.5 compression


class Compression(HiddenCheck):
    """2.5: each figure is a criterion; bytes, characters and tokens all differ."""

    exercise = "compression"
    uses = ("compression",)
    criteria = {"bytes_per_token": 0.75, "fertility": 0.75, "oov_rate": 0.5}

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Texts with letters of several bytes and runs of spaces; with and without special and unknown tokens."""
        for _ in range(2):
            words = [
                "".join(rng.choice(list("abcéж中"), size=rng.integers(2, 8))) for _ in range(int(rng.integers(7, 15)))
            ]
            text = "  ".join(words) + "\n é"
            for criterion in self.criteria:
                yield Case(
                    criterion,
                    {"text": text, "specials": ["[CLS]", "[SEP]"], "unknown": ["ж", "中"], "split": "letters"},
                )
                yield Case(criterion, {"text": text, "split": "pairs"})
        for criterion in self.criteria:
            yield Case(criterion, {"text": "één 2 drie", "specials": [0], "unknown": [1, 7], "split": "numbers"})

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The dictionary, and what the tokenizer was asked."""
        text, asked = inputs["text"], []

        def tokenize(piece):
            asked.append(piece)
            if inputs["split"] == "letters":
                return ["[CLS]", *[c for c in piece if not c.isspace()], "[SEP]"]
            if inputs["split"] == "numbers":
                return [0, 7, 1, 1, 5, 0, 9, 4, 0]
            return [piece[at : at + 2] for at in range(0, len(piece), 2)]

        keywords = {key: tuple(inputs[key]) for key in ("specials", "unknown") if key in inputs}
        got = student.compression(tokenize, text, **keywords)
        return {
            "figures": {str(key): float(value) for key, value in got.items()},
            "asked": asked[:3],
            "calls": len(asked),
        }

    def judge(self, case: Case, answer: Any) -> Verdict:
        """One figure, against what each mistake would make of it."""
        text, figures = case.inputs["text"], answer["figures"]
        given = f"a text of {len(text.split())} words, cut into {case.inputs['split']}"
        if case.criterion not in figures:
            return wrong(f"the dictionary has no {case.criterion!r}")
        if answer["asked"] != [text] or answer["calls"] != 1:
            return wrong(f"tokenize was called {answer['calls']} times; call it once, with the whole text")
        if case.inputs["split"] == "letters":
            bare = [letter for letter in text if not letter.isspace()]
            tokens = ["[CLS]", *bare, "[SEP]"]
        elif case.inputs["split"] == "numbers":
            tokens = [0, 7, 1, 1, 5, 0, 9, 4, 0]
        else:
            tokens = [text[at : at + 2] for at in range(0, len(text), 2)]
        specials, unknown = case.inputs.get("specials", []), case.inputs.get("unknown", [])
        counted = [token for token in tokens if token not in specials]
        size, words, lost = len(text.encode()), len(text.split()), sum(token in unknown for token in counted)
        got = figures[case.criterion]
        n, every = len(counted), len(tokens)
        wanted, suspects = {
            "bytes_per_token": (
                size / n,
                [
                    (len(text) / n, "characters were counted; a letter may take several bytes"),
                    (n / size, "tokens per byte; it is asked the other way round"),
                    (size / every, "special tokens stand for no text and are not counted"),
                    (len("".join(text.split()).encode()) / n, "white space belongs to the text's bytes"),
                ],
            ),
            "fertility": (
                n / words,
                [
                    (words / n, "words per token; it is asked the other way round"),
                    (every / words, "special tokens stand for no text and are not counted"),
                    (
                        n / len(text.split(" ")),
                        'split() without an argument: split(" ") makes empty words of double spaces',
                    ),
                ],
            ),
            "oov_rate": (
                lost / n,
                [
                    (lost / every, "special tokens stand for no text and are not counted"),
                    (float(lost), "a count; a share was asked"),
                    (
                        len({token for token in counted if token in unknown}) / n,
                        "every unknown token counts, also one that comes again",
                    ),
                    (lost / words, "a share of the words; of the tokens was asked"),
                    ((n - lost) / n, "the share of known tokens; of the unknown ones was asked"),
                ],
            ),
        }[case.criterion]
        if close(got, wanted):
            return right()
        return name_the_mistake(
            got,
            [(value, f"{words_}; {given}") for value, words_ in suspects],
            f"{case.criterion} is not right; {given}",
        )


# -------------------------------------------------------------------------------------- 2.6 embedding


class Embedding(HiddenCheck):
    """2.6: all sizes differ, tokens repeat, and some tokens never occur."""

    exercise = "embedding"
    uses = ("embed_onehot", "embed_gradient")
    criteria = {"lookup": 1.0, "gradient flows": 0.5, "gradient by hand": 1.5}
    forbids = dict.fromkeys(
        ("F.embedding", "nn.Embedding", ".embedding", "torch.autograd.grad", ".backward"),
        "the embedding and its gradient are the exercise: use indexing, products and sums",
    )

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Random tables and ids, float64 and float32; the last token of the vocabulary never occurs."""
        square = {"ids": [[1, 0, 2]], "weight": rng.normal(size=(3, 3)), "upstream": rng.normal(size=(1, 3, 3))}
        for criterion in self.criteria:
            yield Case(criterion, square)
        for number, (batch, seq, d_model, vocab_size) in enumerate([(2, 5, 3, 7), (3, 1, 4, 2), (1, 9, 2, 4)]):
            dtype = np.float32 if number == 2 else np.float64
            ids = rng.integers(0, vocab_size - 1 or 1, size=(batch, seq))
            ids[0, 0] = ids[-1, -1]
            inputs = {
                "ids": ids.tolist(),
                "weight": rng.normal(size=(d_model, vocab_size)).astype(dtype),
                "upstream": rng.normal(size=(batch, seq, d_model)).astype(dtype),
            }
            for criterion in self.criteria:
                yield Case(criterion, inputs)

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """Vectors, the gradient through them, the gradient by hand, and the inputs afterwards."""
        import torch

        ids, upstream = torch.tensor(inputs["ids"]), torch.tensor(inputs["upstream"])
        weight = torch.tensor(inputs["weight"], requires_grad=True)
        vectors = student.embed_onehot(ids, weight)
        through = None
        if vectors.requires_grad and vectors.shape == upstream.shape:
            (vectors * upstream).sum().backward()
            through = weight.grad
        by_hand = student.embed_gradient(ids, upstream, weight.shape[1])
        return {
            "vectors": vectors,
            "through": through,
            "by_hand": by_hand,
            "intact": ids.tolist() == inputs["ids"]
            and bool((upstream == torch.tensor(inputs["upstream"])).all())
            and bool((weight == torch.tensor(inputs["weight"])).all()),
        }

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Inputs, then the part that the criterion asks for."""
        ids, weight, upstream = np.array(case.inputs["ids"]), case.inputs["weight"], case.inputs["upstream"]
        (batch, seq), (d_model, vocab_size) = ids.shape, weight.shape
        given = f"ids of shape {(batch, seq)}, weight of shape {(d_model, vocab_size)}"
        tolerance = {"rtol": 1e-5, "atol": 1e-6} if weight.dtype == np.float32 else {}
        if not answer["intact"]:
            return wrong(f"ids, weight or upstream were changed by the call; {given}")
        vectors = answer["vectors"]
        if case.criterion == "lookup":
            want = np.take(weight, ids, axis=1).transpose(1, 2, 0)
            if getattr(vectors, "shape", None) != want.shape:
                return wrong(
                    f"the vectors have shape {getattr(vectors, 'shape', None)}, not (batch, seq, d_model) = "
                    f"{want.shape}; {given}"
                )
            if not close(vectors, want, **tolerance):
                if d_model == vocab_size and close(vectors, weight[ids], **tolerance):
                    return wrong(f"rows were taken; a token is a column of the weight; {given}")
                return wrong(f"these are not the columns of the tokens; {given}")
            return (
                right()
                if vectors.dtype == weight.dtype
                else wrong(f"the dtype changed from {weight.dtype} to {vectors.dtype}; {given}")
            )
        want = np.zeros((d_model, vocab_size))
        for row in range(batch):
            for place in range(seq):
                want[:, ids[row, place]] += upstream[row, place]
        if case.criterion == "gradient flows":
            if answer["through"] is None:
                return wrong(
                    f"no gradient reaches the weight: the graph was cut (detach, numpy, data or no_grad); {given}"
                )
            return (
                right()
                if close(answer["through"], want, **tolerance)
                else wrong(f"the gradient through the lookup is not that of a product; {given}")
            )
        got = answer["by_hand"]
        if getattr(got, "shape", None) != want.shape:
            return wrong(f"the gradient has shape {getattr(got, 'shape', None)}, the weight has {want.shape}; {given}")
        if close(got, want, **tolerance):
            return right()
        counts = np.maximum(np.bincount(ids.ravel(), minlength=vocab_size), 1)
        last = np.zeros_like(want)
        last[:, ids.ravel()] = upstream.reshape(-1, d_model).T
        suspects = [
            (last, f"of a token that stands at several places only one place counts: assignment forgets, add; {given}"),
            (want / counts, f"the mean over a token's places; a shared parameter gets the sum; {given}"),
            (want / ids.size, f"divided by the number of places; nothing in the product does that; {given}"),
            (want / batch, f"divided by the size of the batch; nothing in the product does that; {given}"),
        ]
        return name_the_mistake(
            got,
            suspects,
            f"this is not upstream times the one-hot vectors, summed over all places; {given}",
            **tolerance,
        )


# --------------------------------------------------------------------------------------- 2.7 analogies


class Analogy(HiddenCheck):
    """2.7: rows of very different lengths, so that products and cosines disagree."""

    exercise = "analogy"
    uses = ("analogy",)
    criteria = {"direction": 1.5, "exclusion": 1.0, "ties and input": 0.5}

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Random tables with lengths from 0.2 to 5; small angles, so that the words of the question are near."""
        for vocab_size, d_model in [(40, 6), (25, 3)]:
            rows = rng.normal(size=(vocab_size, d_model)) + 0.3
            rows *= np.exp(rng.uniform(-1.6, 1.6, size=(vocab_size, 1)))
            for _ in range(3):
                a, b, c = rng.choice(vocab_size, size=3, replace=False).tolist()
                yield Case("direction", {"rows": rows, "question": [a, b, c], "k": 7, "exclude": True})
        # a long way in one direction, small steps beside it: the nearest are the words of the question
        rows = np.c_[np.full(30, 4.0), rng.normal(size=(30, 4)) * 0.8] * np.exp(rng.uniform(-1, 1, size=(30, 1)))
        for exclude in (True, False):
            a, b, c = rng.choice(30, size=3, replace=False).tolist()
            yield Case("exclusion", {"rows": rows, "question": [a, b, c], "k": 30, "exclude": exclude})
            yield Case("exclusion", {"rows": rows, "question": [a, b, a], "k": 4, "exclude": exclude})
        yield Case("exclusion", {"rows": rows, "question": [2, 11, 2]})
        # rows along the axes, with lengths that divide exactly: many cosines are equal to the last bit
        axes = np.array([[1.0, 0], [0, 1], [-1, 0], [0, -1]])
        lengths = 2.0 ** rng.integers(-2, 4, size=(48, 1))
        grid = np.r_[axes, axes[rng.integers(0, 4, size=44)]] * lengths
        for question in ([0, 1, 2], [3, 2, 0], [1, 0, 3]):
            yield Case("ties and input", {"rows": grid, "question": question, "k": 5, "exclude": False})
            yield Case(
                "ties and input", {"rows": grid.astype(np.float32), "question": question, "k": 3, "exclude": True}
            )

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The answers, and whether the table stayed as it was."""
        import torch

        rows = torch.tensor(inputs["rows"])
        settings = [inputs[key] for key in ("k", "exclude") if key in inputs]
        got = student.analogy(rows, *inputs["question"], *settings)
        kinds = sorted({type(token).__name__ for token in got})
        return {
            "kinds": kinds,
            "got": [int(token) for token in got],
            "intact": bool((rows == torch.tensor(inputs["rows"])).all()),
        }

    def judge(self, case: Case, answer: Any) -> Verdict:
        """The table, the number of answers, the order."""
        rows, (a, b, c) = case.inputs["rows"].astype(np.float64), case.inputs["question"]
        k, exclude = case.inputs.get("k", 5), case.inputs.get("exclude", True)
        given = f"a table of {len(rows)} rows, k={k}, exclude={exclude}"
        if not answer["intact"]:
            return wrong(f"the table was changed by the call: normalise a copy; {given}")
        if "Tensor" in answer["kinds"]:
            return wrong(f"the ids are tensors: return a list of plain numbers (tolist); {given}")
        got = answer["got"]
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        unit = rows / lengths
        score = unit @ (unit[b] - unit[a] + unit[c])
        want = _ranked(score, (a, b, c) if exclude else (), k)
        if got == want:
            return right()
        if exclude and {a, b, c} & set(got):
            return wrong(f"a word of the question is among the answers although exclude is set; {given}")
        if len(got) != len(want):
            return wrong(f"{len(got)} answers came back, {len(want)} were to come; {given}")
        hidden = (a, b, c) if exclude else ()
        suspects = [
            (unit @ (unit[a] - unit[b] + unit[c]), "the sign: b - a + c is asked, not a - b + c"),
            (unit @ (unit[a] + unit[b] - unit[c]), "the sign: b - a + c is asked"),
            (rows @ (rows[b] - rows[a] + rows[c]), "dot products favour long rows: compare by cosine"),
            (rows @ (unit[b] - unit[a] + unit[c]), "dot products favour long rows: compare by cosine"),
            (
                unit @ (rows[b] - rows[a] + rows[c]),
                "rows must have length 1 before they are added, not only afterwards",
            ),
            (
                -np.linalg.norm(rows - (rows[b] - rows[a] + rows[c]), axis=1),
                "Euclidean distances between rows of unlike length; a cosine is asked",
            ),
            (-score, "the order is reversed: the largest cosine comes first"),
        ]
        for values, says in suspects:
            if got == _ranked(values, hidden, k):
                return wrong(f"{says}; {given}")
        if not exclude and got == _ranked(score, (a, b, c), k):
            return wrong(f"the words of the question were left out although exclude is not set; {given}")
        if np.allclose(score[got], score[want]):
            return wrong(f"of equal cosines the smaller id comes first; {given}")
        return wrong(f"these are not the rows nearest to b - a + c by cosine, in order; {given}")


def _ranked(score: np.ndarray, hidden: Sequence[int], k: int) -> list[int]:
    """Ids by falling score; what is equal up to rounding in order of the id."""
    order = sorted(range(len(score)), key=lambda token: (-round(float(score[token]), 9), token))
    return [token for token in order if token not in hidden][:k]

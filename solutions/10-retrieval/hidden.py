"""The hidden checks of chapter 10: what a right answer must do, and what each wrong one is told.

Expected values are computed here with numpy or plain Python, by other routes than the page's. Scores that a check
compares by rank lie apart, or are equal to the last bit where a tie is wanted.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from grader.comparing import close, name_the_mistake
from grader.hidden import Case, HiddenCheck, Verdict, right, wrong

# --------------------------------------------------------------------------------- 10.1 windows


class ChunkText(HiddenCheck):
    """10.1: texts that end inside a window, at its end, and in the overlap; sizes that do not advance."""

    exercise = "chunk-text"
    uses = ("chunk_text",)
    criteria = {"windows": 1.0, "where the text ends": 0.5, "sizes that do not advance": 0.5}
    forbids = dict.fromkeys(
        (".unfold", "torch.unfold", "np.lib.stride_tricks.sliding_window_view", ".sliding_window_view"),
        "cutting the windows is the exercise: use slices",
    )

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Tokens repeat; every relation of length, size and overlap that makes a difference."""
        for n, size, overlap in [(23, 7, 3), (40, 9, 1), (17, 5, 4), (31, 8, 0)]:
            yield self._case("windows", rng, n, size, overlap)
        for n, size, overlap in [
            *((15, 5, 0), (17, 5, 2), (18, 5, 2), (19, 5, 2), (20, 5, 2)),
            *((6, 6, 2), (7, 6, 5), (4, 6, 3), (2, 6, 3), (3, 6, 3), (1, 1, 0), (3, 1, 0), (0, 4, 1), (0, 4, 0)),
        ]:
            yield self._case("where the text ends", rng, n, size, overlap)
        for size, overlap in [(3, 3), (3, 5), (4, -1), (0, 0)]:
            yield self._case("sizes that do not advance", rng, 9, size, overlap)
        yield self._case("sizes that do not advance", rng, 9, 3, 2)

    @staticmethod
    def _case(criterion: str, rng: np.random.Generator, n: int, size: int, overlap: int) -> Case:
        return Case(criterion, {"ids": rng.integers(0, 6, size=n).tolist(), "size": size, "overlap": overlap})

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The windows, or that they were refused; and the input afterwards."""
        ids = list(inputs["ids"])
        try:
            windows = student.chunk_text(ids, inputs["size"], inputs["overlap"])
        except ValueError as error:
            return {"refused": str(error)[:200]}
        kinds = sorted({type(window).__name__ for window in windows})
        return {"windows": [list(window) for window in windows], "kinds": kinds, "intact": ids == inputs["ids"]}

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Refusal, then the windows against those of each slip."""
        ids, size, overlap = (case.inputs[name] for name in ("ids", "size", "overlap"))
        n = len(ids)
        given = f"{n} tokens, size={size}, overlap={overlap}"
        if not 0 <= overlap < size:
            return right() if "refused" in answer else wrong(f"a ValueError was asked: no window gets on; {given}")
        if "refused" in answer:
            return wrong(f"a ValueError although the sizes are possible: {answer['refused']}; {given}")
        if not answer["intact"]:
            return wrong(f"the list that was given was changed; {given}")
        got = answer["windows"]
        if answer["kinds"] not in ([], ["list"]):
            return wrong(f"a window is a list, these are {', '.join(answer['kinds'])}; {given}")
        step = size - overlap
        count = 0 if not n else 1 + max(0, math.ceil((n - size) / step))
        starts = [number * step for number in range(count)]
        if got == [ids[start : start + size] for start in starts]:
            return right()
        full = [start for start in starts if start + size <= n]
        suspects = [
            (range(0, n, step), "the last window holds nothing new: it lies in the one before"),
            (full, "the tail is in no window: the last window may be shorter"),
            (full[:-1], "the last window is missing"),
            (range(0, n, size), "the windows do not overlap"),
            ([*starts, count * step], "there is a window too many at the end"),
        ]
        for guess, words in suspects:
            if got == [ids[start : start + size] for start in guess]:
                return wrong(f"{words}; {given}")
        if len(full) < len(starts) and got == [ids[start : start + size] for start in [*full, max(n - size, 0)]]:
            return wrong(f"the last window was moved back to be full: its overlap is longer than asked; {given}")
        if overlap and n and any(before[-overlap:] != after[:overlap] for before, after in pairwise(got)):
            return wrong(f"a window does not begin with the last {overlap} tokens of the one before; {given}")
        if not n:
            return wrong(f"no tokens, no windows; there are {len(got)}; {given}")
        return wrong(f"these are not the windows that were asked for; {given}")


# --------------------------------------------------------------------------------- 10.2 encoding


class Encode(HiddenCheck):
    """10.2: a model whose states at padding are large, and depend on the mask; calls are counted."""

    exercise = "encode"
    uses = ("encode",)
    criteria = {"vectors": 1.0, "order": 1.0, "calls": 1.0}
    forbids = {
        **dict.fromkeys(
            ("tokenizer.encode", ".encode"), "tokenize with encode_batch; one text alone is the stand-in's way"
        ),
        **dict.fromkeys(
            ("SentenceTransformer", "sentence_transformers.SentenceTransformer"),
            "the encoder is the exercise: pad, mask, average, scale",
        ),
    }

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Texts of very unlike length in a random order; batch sizes that divide and do not."""
        for lengths, batch_size in [([5, 1, 9, 3, 2], 5), ([4, 11, 1, 6], 2), ([3, 8], 7)]:
            yield Case("vectors", self._draw(rng, lengths, batch_size))
        for lengths, batch_size in [([7, 2, 9, 4, 1, 12, 3], 3), ([9, 7, 5, 3, 1], 1), ([1, 6, 2, 8, 4, 4, 3, 10], 4)]:
            yield Case("order", self._draw(rng, lengths, batch_size))
        for lengths, batch_size in [([1, 14, 2, 13, 3, 12, 4, 15, 1, 16], 4), ([6, 1, 6, 1, 6, 1], 3), ([], 3)]:
            yield Case("calls", self._draw(rng, lengths, batch_size))

    @staticmethod
    def _draw(rng: np.random.Generator, lengths: Sequence[int], batch_size: int) -> dict[str, Any]:
        texts = [" ".join(f"w{word}" for word in rng.integers(0, 30, size=length)) for length in lengths]
        return {
            "texts": texts,
            "batch_size": batch_size,
            "table": rng.normal(size=(33, 5)).astype(np.float32),
            "places": rng.normal(size=(40, 5)).astype(np.float32),
        }

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The vectors, whether they carry a gradient, and what the model was asked."""
        import torch
        from tokenizers import Tokenizer, models, pre_tokenizers, processors

        vocab = {"[X]": 0, "[CLS]": 1, "[SEP]": 2, **{f"w{word}": word + 3 for word in range(30)}}
        tokenizer = Tokenizer(models.WordLevel(vocab, unk_token="[X]"))
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        ends = [("[CLS]", 1), ("[SEP]", 2)]
        tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
        calls = []

        class Model(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.table = torch.nn.Parameter(torch.tensor(inputs["table"]))
                self.places = torch.nn.Parameter(torch.tensor(inputs["places"]))

            def forward(self, ids, mask):
                calls.append([list(ids.shape), mask.bool().sum(1).tolist()])
                real = mask.bool()[..., None]
                tokens = self.table[ids] * real
                context = tokens.sum(1, keepdim=True) / real.sum(1, keepdim=True)
                states = tokens + context + self.places[: ids.shape[1]]
                return torch.where(real, states, torch.full_like(states, 25.0) + self.places[: ids.shape[1]])

        texts = list(inputs["texts"])
        out = student.encode(texts, tokenizer, Model().eval(), inputs["batch_size"])
        return {
            "out": out.detach(),
            "gradient": out.requires_grad,
            "calls": calls,
            "intact": texts == list(inputs["texts"]),
        }

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Rows and their places, then calls and gradient."""
        texts, batch_size = case.inputs["texts"], case.inputs["batch_size"]
        ids = [[1, *(int(word[1:]) + 3 for word in text.split()), 2] for text in texts]
        lengths = [len(row) for row in ids]
        given = f"texts of {lengths} tokens, batch_size={batch_size}"
        got = answer["out"]
        if not answer["intact"]:
            return wrong(f"the list of texts was changed: sort places, not the texts; {given}")
        if len(getattr(got, "shape", ())) != 2 or len(got) != len(texts):
            return wrong(f"one row for each text was asked, the shape is {getattr(got, 'shape', None)}; {given}")
        if case.criterion == "calls":
            return self._judge_calls(answer, lengths, batch_size, given)
        states = [self._states(case.inputs, row) for row in ids]
        want = _unit(np.stack([rows.mean(0) for rows in states]))
        tolerance = {"rtol": 1e-4, "atol": 1e-5}
        if close(got, want, **tolerance):
            return right()
        if close(_unit(got), want, **tolerance):
            return wrong(f"the directions are right, but the rows have not length 1; {given}")
        likeness = _unit(got) @ want.T
        if np.allclose(np.sort(likeness.argmax(1)), np.arange(len(texts))) and (likeness.max(1) > 1 - 1e-5).all():
            return wrong(f"the rows stand in another order than the texts: put each back to its place; {given}")
        suspects = [
            (
                _unit(np.stack([rows[1:-1].mean(0) for rows in states])),
                "the special tokens are left out of the mean; they belong to it",
            ),
            (
                _unit(np.stack([rows[0] for rows in states])),
                "only the first token's state; the mean over all was asked",
            ),
            (_unit(np.stack([rows.max(0) for rows in states])), "the largest state of each column; the mean was asked"),
            (
                _unit(np.stack([_unit(rows).mean(0) for rows in states])),
                "the states were scaled to length 1 before the mean; scale the mean",
            ),
        ]
        for value, words in suspects:
            if close(got, value, **tolerance):
                return wrong(f"{words}; {given}")
        padded = [batch for shape, batch in answer["calls"] if shape[1] == max(batch)]
        if len(padded) == len(answer["calls"]) and not all(min(batch) == max(batch) for batch in padded):
            return wrong(f"padding is in the mean: sum and count the real tokens only; {given}")
        if all(set(batch) == {shape[1]} for shape, batch in answer["calls"]):
            return wrong(f"the mask that the model got is True at padding: it is True at real tokens only; {given}")
        return wrong(f"these are not the means of the real tokens' states, scaled to length 1; {given}")

    @staticmethod
    def _states(inputs: Mapping[str, Any], row: Sequence[int]) -> np.ndarray:
        tokens = inputs["table"].astype(np.float64)[row]
        return np.asarray(tokens + tokens.mean(0) + inputs["places"].astype(np.float64)[: len(row)])

    @staticmethod
    def _judge_calls(answer: Any, lengths: Sequence[int], batch_size: int, given: str) -> Verdict:
        if answer["gradient"]:
            return wrong(f"the vectors carry a gradient: nobody trains here, use torch.no_grad; {given}")
        sizes = [shape[0] for shape, _ in answer["calls"]]
        if not lengths:
            return right()
        if max(sizes) > batch_size:
            return wrong(f"a call of the model got {max(sizes)} texts; {given}")
        if len(sizes) != math.ceil(len(lengths) / batch_size):
            return wrong(f"the model was called {len(sizes)} times: fill every batch but one; {given}")
        places = sum(shape[0] * shape[1] for shape, _ in answer["calls"])
        ways = []
        for ordered in (sorted(lengths), sorted(lengths, reverse=True)):
            batches = [ordered[at : at + batch_size] for at in range(0, len(ordered), batch_size)]
            ways.append(sum(max(batch) * len(batch) for batch in batches))
        if places > max(ways):
            return wrong(f"{places} places for {sum(lengths)} tokens: batch texts of similar length together; {given}")
        return right()


def _unit(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True))


# --------------------------------------------------------------------------------- 10.3 the index


class DenseIndexCheck(HiddenCheck):
    """10.3: vectors of very different length, ids in no order, edits, ties that are exact."""

    exercise = "dense-index"
    uses = ("DenseIndex",)
    criteria = {"cosines": 1.0, "ids and edits": 1.0, "ties and ends": 1.0}
    forbids = dict.fromkeys(
        ("NearestNeighbors", "sklearn.neighbors.NearestNeighbors", "ScikitIndex", ".IndexFlatIP", ".kneighbors"),
        "the search is the exercise: one product of a matrix and a vector, and a sort",
    )

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Additions, one after the other, and then queries."""
        for n, d, k in [(30, 4, 6), (12, 7, 1), (25, 3, 25)]:
            names = [int(name) for name in rng.permutation(1000)[:n]]
            yield self._case("cosines", rng, d, [names], k)
        for kind in ("number", "text"):
            names = [int(name) for name in rng.permutation(90)[:20] + 5]
            ids = [f"doc {name:02}" for name in names] if kind == "text" else names
            yield self._case("ids and edits", rng, 5, [ids[:1], ids[1:2], ids[2:9], ids[9:]], 7)
            again = [ids[3], ids[17], ids[0]]
            yield self._case("ids and edits", rng, 5, [ids, again], 20)
            yield self._case("ids and edits", rng, 5, [ids[:6], again[:1], ids[6:], again], 20, spoil=True)
        few = [int(name) for name in rng.permutation(40)[:5]]
        yield self._case("ties and ends", rng, 3, [few], 99)
        yield self._case("ties and ends", rng, 3, [[], few[:2], [], few[2:]], 4)
        yield Case("ties and ends", {"adds": [], "queries": rng.normal(size=(1, 3)), "k": 4})
        yield Case("ties and ends", {"adds": [[[], np.zeros((0, 3))]], "queries": rng.normal(size=(1, 3)), "k": 4})
        axes = np.concatenate([np.eye(4), -np.eye(4)])
        for kind in ("number", "text"):
            names = [int(name) for name in rng.permutation(900)[:24] + 100]
            ids = [f"{name}" for name in names] if kind == "text" else names
            rows = axes[rng.integers(0, 8, size=24)] * 2.0 ** rng.integers(-3, 4, size=(24, 1))
            rows[5], rows[20] = 0.0, 0.0
            queries = np.array([[4.0, 0, 0, 0], [0, -0.5, 0, 0], [0, 0, 1.0, 0], [0, 0, 0, 0]])
            yield Case(
                "ties and ends", {"adds": [[ids[:9], rows[:9]], [ids[9:], rows[9:]]], "queries": queries, "k": 24}
            )
            yield Case("ties and ends", {"adds": [[ids, rows]], "queries": queries, "k": 3})

    @staticmethod
    def _case(
        criterion: str, rng: np.random.Generator, d: int, parts: Sequence[Sequence[Any]], k: int, spoil: bool = False
    ) -> Case:
        while True:
            adds = [
                [list(ids), (rng.normal(size=(len(ids), d)) + 0.4) * np.exp(rng.uniform(-2, 2, size=(len(ids), 1)))]
                for ids in parts
            ]
            queries = (rng.normal(size=(3, d)) + 0.4) * np.array([[0.3], [1.7], [6.0]])
            scores = np.sort(_unit(queries) @ _unit(np.concatenate([rows for _, rows in adds])).T, axis=1)
            if scores.shape[1] < 2 or np.diff(scores).min() > 1e-5:
                return Case(criterion, {"adds": adds, "queries": queries, "k": k, "spoil": spoil})

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """What each query finds, and how many ids there are after each addition."""
        import torch

        index = student.DenseIndex()
        sizes = []
        for ids, rows in inputs["adds"]:
            vectors = torch.tensor(rows)
            index.add(list(ids), vectors)
            if not bool((vectors == torch.tensor(rows)).all()):
                return {"changed": True}
            if inputs.get("spoil"):
                vectors.mul_(-3.0).add_(1.0)
            sizes.append(len(index))
        queries = torch.tensor(inputs["queries"])
        found = []
        for query in queries:
            hits = index.search(query, inputs["k"])
            for name, score in hits:
                if type(score).__name__ == "Tensor" or type(name).__name__ == "Tensor":
                    return {"tensor": True}
            found.append([[name, float(score)] for name, score in hits])
        return {"found": found, "sizes": sizes, "queries": bool((queries == torch.tensor(inputs["queries"])).all())}

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Numbers of ids, then names in order, then scores."""
        inputs = case.inputs
        k, counted = inputs["k"], [len(ids) for ids, _ in inputs["adds"]]
        given = f"added {counted} vectors, k={k}"
        if answer.get("changed"):
            return wrong(f"the vectors that were given were changed: scale a copy; {given}")
        if answer.get("tensor"):
            return wrong(f"ids and scores are plain: tolist() makes numbers of a tensor; {given}")
        if not answer["queries"]:
            return wrong(f"a query was changed by the search; {given}")
        stored: dict[Any, np.ndarray] = {}
        first: dict[Any, np.ndarray] = {}
        spoiled: dict[Any, np.ndarray] = {}
        sizes = []
        for ids, rows in inputs["adds"]:
            for name, row in zip(ids, rows, strict=True):
                stored[name], spoiled[name] = row, row * -3.0 + 1.0
                first.setdefault(name, row)
            sizes.append(len(stored))
        if answer["sizes"] != sizes:
            return wrong(f"len(index) was {answer['sizes']} after the additions: a known id is no new one; {given}")
        for query, hits in zip(inputs["queries"], answer["found"], strict=True):
            verdict = self._judge_hits(query, hits, stored, first, spoiled, k, given)
            if not verdict.passed:
                return verdict
        return right()

    @staticmethod
    def _judge_hits(
        query: np.ndarray,
        hits: Sequence[Sequence[Any]],
        stored: Mapping[Any, np.ndarray],
        first: Mapping[Any, np.ndarray],
        spoiled: Mapping[Any, np.ndarray],
        k: int,
        given: str,
    ) -> Verdict:
        def cosine(row: np.ndarray) -> float:
            size = float(np.linalg.norm(row) * np.linalg.norm(query))
            return float(row @ query) / size if size else 0.0

        def ranked(rows: Mapping[Any, np.ndarray], score: Any, tie: int = 1) -> list[Any]:
            order = sorted(rows)[::tie]
            return sorted(order, key=lambda name: -round(score(rows[name]), 7))[:k]

        names, want = [name for name, _ in hits], ranked(stored, cosine)
        if len(hits) != len(want):
            return wrong(f"{len(hits)} hits, {len(want)} were to come: at most k, all when there are fewer; {given}")
        if any(score != score for _, score in hits):
            return wrong(f"a score is nan: a vector of zeros has no direction, and score 0 with everything; {given}")
        if names == want:
            if close([score for _, score in hits], [cosine(stored[name]) for name in want], rtol=0, atol=2e-6):
                return right()
            return wrong(f"the order is right, the scores are not cosines: scale the query to length 1, too; {given}")
        if not set(names) <= set(stored):
            return wrong(f"these are no ids that were added (row numbers?): {names[:3]}; {given}")
        rows = list(stored)
        for guess, words in [
            (ranked(stored, lambda row: float(row @ query)), "inner products favour long vectors: compare by cosine"),
            (
                ranked(stored, lambda row: -float(np.linalg.norm(row - query))),
                "Euclidean distances of vectors of unlike length; a cosine was asked",
            ),
            (ranked(first, cosine), "an id that is there gets the new vector: the old one was kept"),
            (ranked(spoiled, cosine), "the index changes when the caller's tensor does: keep numbers of its own"),
            (ranked(stored, lambda row: -cosine(row)), "the worst come first"),
            (ranked(stored, lambda row: abs(cosine(row))), "the sign is lost: opposite is not alike"),
            (ranked(stored, cosine, -1), "of equal scores the smaller id comes first, you give the larger"),
            (
                sorted(rows, key=lambda name: -round(cosine(stored[name]), 7))[:k],
                "of equal scores the smaller id comes first, you give the one that was added earlier",
            ),
            (sorted(want), "the hits are not sorted by their score"),
        ]:
            if names == guess:
                return wrong(f"{words}; {given}")
        values = [cosine(stored[name]) for name in names]
        if close(values, [cosine(stored[name]) for name in want], rtol=0, atol=1e-7):
            return wrong(f"of equal scores the smaller id comes first; {given}")
        if sorted(names, key=str) == sorted(want, key=str):
            return wrong(f"the right ids, and not sorted by their score, best first; {given}")
        return wrong(f"these are not the ids with the largest cosines; {given}")


# --------------------------------------------------------------------------------- 10.4 BM25


def bm25_table(
    query: Sequence[str], docs: Sequence[Sequence[str]], k1: float = 1.2, b: float = 0.75, slip: str = ""
) -> np.ndarray:
    """BM25 over a table of counts; with the name of a slip, as that mistake computes it."""
    words = sorted(set(query))
    if not docs or not words:
        return np.zeros(len(docs))
    counts = np.array([[list(doc).count(word) for word in words] for doc in docs], dtype=np.float64)
    lengths = np.array([[len(doc)] for doc in docs], dtype=np.float64)
    if slip == "letters":
        lengths = np.array([[sum(map(len, doc))] for doc in docs], dtype=np.float64)
    real = lengths[lengths > 0]
    mean = (real.mean() if slip == "mean of the filled" else lengths.mean()) or 1.0
    holding, n = (counts > 0).sum(0), len(docs)
    if slip == "total for n":
        holding = np.minimum(counts.sum(0), n)
    with np.errstate(invalid="ignore", divide="ignore"):
        weight = {
            "negative": np.log((n - holding + 0.5) / (holding + 0.5)),
            "plain idf": np.log(n / np.maximum(holding, 1)),
            "no idf": np.ones_like(holding, dtype=np.float64),
            "log10": np.log10(1 + (n - holding + 0.5) / (holding + 0.5)),
            "log2": np.log2(1 + (n - holding + 0.5) / (holding + 0.5)),
        }.get(slip, np.log(1 + (n - holding + 0.5) / (holding + 0.5)))
        norm = k1 * (1 - b + b * lengths / mean)
        if slip == "no length":
            norm = k1 + 0 * lengths
        if slip == "upside down":
            norm = k1 * (1 - b + b * mean / lengths)
        top = 1.0 if slip == "no k1 + 1" else k1 + 1
        bent = np.where(counts > 0, counts * top / (counts + norm), 0.0)
        if slip == "not bent":
            bent = counts
        if slip == "presence":
            bent = (counts > 0) * top / (1 + norm)
        times = np.array([1 if slip == "a set" else list(query).count(word) for word in words])
        return np.asarray(np.nan_to_num(weight * bent) @ times)


BM25_SLIPS = {
    "negative": "a frequent word got a weight below 0: the 1 inside the logarithm is missing",
    "plain idf": "the weight is ln(N/n); the one with 0.5 and 1 + was asked",
    "no idf": "all words weigh the same; a rare word says more",
    "log10": "a logarithm to base 10; the natural one was asked",
    "log2": "a logarithm to base 2; the natural one was asked",
    "no length": "the length of a document has no effect",
    "upside down": "length and mean are exchanged: a long document needs more occurrences",
    "no k1 + 1": "the factor k1 + 1 is missing",
    "not bent": "counts enter as they are: further occurrences must help less and less",
    "presence": "every count is taken for 1",
    "a set": "a word that the query repeats counts again",
    "total for n": "n is the number of documents that hold the word, not of its occurrences",
    "mean of the filled": "an empty document counts for the mean length, too",
    "letters": "the length is the number of words, not of letters",
}


class BM25(HiddenCheck):
    """10.4: lengths and counts differ, queries repeat words, documents are empty."""

    exercise = "bm25"
    uses = ("bm25",)
    criteria = {"values": 1.5, "edges": 0.75, "k1 and b": 0.75}
    forbids = dict.fromkeys(
        ("TfidfVectorizer", "CountVectorizer", ".TfidfVectorizer", ".CountVectorizer", "tf_idf"),
        "counting and weighting words is the exercise",
    )

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Words of every frequency; the settings' defaults and their ends."""
        for n_docs in (9, 14):
            docs = self._docs(rng, n_docs)
            for query in (["b"], ["common", "a", "d"], ["c", "a", "c", "unheard", "b"]):
                yield Case("values", {"query": query, "docs": docs})
        docs = self._docs(rng, 7)
        docs[2], docs[6] = [], []
        for query in (["a", "common"], ["unheard"], [], ["c", "c", "c"]):
            yield Case("edges", {"query": query, "docs": docs})
        yield Case("edges", {"query": ["a"], "docs": []})
        yield Case("edges", {"query": ["a"], "docs": [[], []]})
        yield Case("edges", {"query": ["a"], "docs": [["a", "a"]]})
        for k1, b in [(0.0, 0.75), (1.2, 0.0), (2.5, 1.0), (0.4, 0.3)]:
            yield Case("k1 and b", {"query": ["a", "b", "common"], "docs": self._docs(rng, 8), "settings": [k1, b]})

    @staticmethod
    def _docs(rng: np.random.Generator, n_docs: int) -> list[list[str]]:
        """Documents of 1 to 25 words: one word in all of them, some in many, some in two."""
        docs = []
        for number in range(n_docs):
            words = rng.choice(["a", "c", "of", "the", "in", "nothing"], size=int(rng.integers(1, 20))).tolist()
            words += ["common"] * int(rng.integers(1, 4))
            words += ["b"] * (number % 4 + 1) if number in (1, 3, 6) else []
            words += ["d"] * 2 if number == 5 else []
            rng.shuffle(words)
            docs.append(words)
        return docs

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The scores, and the inputs afterwards."""
        query, docs = list(inputs["query"]), [list(doc) for doc in inputs["docs"]]
        scores = student.bm25(query, docs, *inputs.get("settings", []))
        intact = query == list(inputs["query"]) and docs == [list(doc) for doc in inputs["docs"]]
        return {"scores": [float(score) for score in scores], "intact": intact}

    def judge(self, case: Case, answer: Any) -> Verdict:
        """The inputs, the number of scores, their values."""
        query, docs = case.inputs["query"], case.inputs["docs"]
        settings = case.inputs.get("settings", [1.2, 0.75])
        lengths = [len(doc) for doc in docs]
        given = f"query {query}, documents of {lengths} words, k1={settings[0]}, b={settings[1]}"
        if not answer["intact"]:
            return wrong(f"the query or the documents were changed by the call; {given}")
        got = answer["scores"]
        if len(got) != len(docs):
            return wrong(f"{len(got)} scores for {len(docs)} documents; {given}")
        want = bm25_table(query, docs, *settings)
        if close(got, want):
            return right()
        if close(got, want, rtol=1e-5, atol=1e-6):
            return wrong(f"the scores are right to six digits only: compute in double precision; {given}")
        suspects = [
            (bm25_table(query, docs, *settings, slip), f"{words}; {given}") for slip, words in BM25_SLIPS.items()
        ]
        if settings != [1.2, 0.75]:
            suspects += [
                (bm25_table(query, docs), f"k1 and b have no effect; {given}"),
                (bm25_table(query, docs, settings[1], settings[0]), f"k1 and b are exchanged; {given}"),
                (bm25_table(query, docs, 1.2, settings[1]), f"k1 has no effect; {given}"),
                (bm25_table(query, docs, settings[0], 0.75), f"b has no effect; {given}"),
            ]
        suspects = [(value, words) for value, words in suspects if not close(value, want)]
        return name_the_mistake(got, suspects, f"these are not the scores of the formula; {given}")


# --------------------------------------------------------------------------------- 10.5 fusion


def fused(rankings: Sequence[Sequence[Any]], k: int, slip: str = "") -> dict[Any, float]:
    """Scores by id; with the name of a slip, as that mistake computes it."""
    scores: dict[Any, float] = {}
    names = {name for ranking in rankings for name in ranking}
    for name in names:
        shares = []
        for ranking in rankings:
            if name in ranking:
                rank = list(ranking).index(name) + (0 if slip == "from 0" else 1)
                shares.append(float(rank) if slip == "ranks" else 1 / (k + rank) if k + rank else math.inf)
            elif slip == "missing":
                shares.append(1 / (k + len(ranking) + 1))
        scores[name] = max(shares) if slip == "best" else math.fsum(shares)
        if slip == "mean":
            scores[name] /= len(shares)
        if slip == "mean of all":
            scores[name] /= len(rankings)
    return scores


class RRF(HiddenCheck):
    """10.5: rankings of unlike length, ids that are missing, ties."""

    exercise = "rrf"
    uses = ("rrf",)
    criteria = {"scores": 1.0, "order and ends": 1.0}

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Two and three rankings of texts and numbers; ties between ids of different rankings."""
        for k, kind in ((60, "number"), (3, "text"), (17, "number")):
            pool = rng.permutation(60)[:12]
            names = [f"doc {name}" for name in pool] if kind == "text" else [int(name) for name in pool]
            rankings = [[names[i] for i in rng.permutation(12)[:size]] for size in (9, 4, 6)]
            yield Case("scores", {"rankings": rankings, "k": k})
        yield Case("scores", {"rankings": [[8, 3, 5], [5, 8]]})
        yield Case("scores", {"rankings": [["a", "b"]], "k": 0})
        low, high = sorted(int(name) for name in rng.permutation(50)[:2] + 10)
        yield Case("order and ends", {"rankings": [[high, 2], [low, 3]], "k": 60})
        yield Case("order and ends", {"rankings": [["pear", "fig"], ["apple", "fig"], []], "k": 5})
        yield Case("order and ends", {"rankings": [[9, 10], [10, 9]], "k": 60})
        yield Case("order and ends", {"rankings": [], "k": 60})
        yield Case("order and ends", {"rankings": [[], []], "k": 60})
        many = [int(name) for name in rng.permutation(200)[:80]]
        yield Case("order and ends", {"rankings": [many, many[::-1][:30]], "k": 1})

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The fused list, and the rankings afterwards."""
        rankings = [list(ranking) for ranking in inputs["rankings"]]
        entries = student.rrf(rankings, *([inputs["k"]] if "k" in inputs else []))
        intact = rankings == [list(ranking) for ranking in inputs["rankings"]]
        return {"entries": [[name, float(score)] for name, score in entries], "intact": intact}

    def judge(self, case: Case, answer: Any) -> Verdict:
        """The ids, their scores, their order."""
        rankings, k = case.inputs["rankings"], case.inputs.get("k", 60)
        given = f"rankings of {[len(ranking) for ranking in rankings]} ids, k={k}"
        if not answer["intact"]:
            return wrong(f"the rankings were changed by the call; {given}")
        want = fused(rankings, k)
        names = [name for name, _ in answer["entries"]]
        if sorted(names, key=str) != sorted(want, key=str):
            return wrong(
                f"each id of any ranking comes once: {len(want)} were expected, there are {len(names)}; {given}"
            )
        got = [dict(map(tuple, answer["entries"]))[name] for name in want]
        if not close(got, list(want.values())):
            suspects = [
                ([fused(rankings, k, slip)[name] for name in want], f"{words}; {given}")
                for slip, words in (
                    ("from 0", "the ranks are counted from 0; the first is 1"),
                    ("best", "only the best rank of an id counts; its shares are summed"),
                    ("ranks", "ranks were summed; a share is 1 / (k + rank)"),
                    ("mean", "the mean over the rankings that hold an id; the sum was asked"),
                    ("mean of all", "the mean over all rankings; the sum was asked"),
                    ("missing", "an id gets something from a ranking that does not hold it"),
                )
            ]
            suspects.append(([fused(rankings, 60)[name] for name in want], f"k has no effect: it was {k}; {given}"))
            return name_the_mistake(got, suspects, f"the scores are not sums of 1 / (k + rank); {given}")
        ordered = sorted(want, key=lambda name: (-round(want[name], 12), name))
        if names == ordered:
            return right()
        if names == ordered[::-1]:
            return wrong(f"the worst comes first: sort by falling score; {given}")
        if close([want[name] for name in names], [want[name] for name in ordered]):
            return wrong(f"of equal scores the smaller id comes first; {given}")
        return wrong(f"the entries are not sorted by falling score; {given}")


# --------------------------------------------------------------------------------- 10.6 metrics


class Metrics(HiddenCheck):
    """10.6: more relevant ids than places, fewer, some never ranked, none."""

    exercise = "metrics"
    uses = ("retrieval_metrics",)
    criteria = {"recall": 0.75, "mrr": 0.75, "ndcg": 1.0, "nothing found": 0.5}
    forbids = dict.fromkeys(
        (".ndcg_score", ".dcg_score", "ndcg_score", "for_one_relevant"), "the metrics are the exercise"
    )

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Places of the relevant ids are set, names are drawn."""
        for n, places, absent, k in [
            *((9, [2, 4, 8], 1, 6), (8, [3], 0, 5), (7, [1, 2], 3, 3), (6, [2, 3, 4], 0, 3)),
            *((5, [1, 4], 0, 20), (12, [3, 7], 2, 8), (4, [2], 0, 2), (4, [1, 3], 0, 1)),
        ]:
            names = [int(name) for name in rng.permutation(300)[: n + absent]]
            kind = "list" if n % 2 else "set"
            inputs = {
                "ranked": names[:n],
                "relevant": [names[at - 1] for at in places] + names[n:],
                "k": k,
                "kind": kind,
            }
            for criterion in ("recall", "mrr", "ndcg"):
                yield Case(criterion, inputs)
        for ranked, relevant, k in [([4, 7, 9], [9], 2), ([], [3], 5), ([1, 2], [], 2), ([], [], 1), ([5, 6], [8], 2)]:
            yield Case("nothing found", {"ranked": ranked, "relevant": relevant, "k": k, "kind": "set"})

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The three numbers, and the inputs afterwards."""
        ranked = list(inputs["ranked"])
        relevant = set(inputs["relevant"]) if inputs["kind"] == "set" else list(inputs["relevant"])
        found = student.retrieval_metrics(ranked, relevant, inputs["k"])
        intact = ranked == list(inputs["ranked"]) and sorted(relevant) == sorted(inputs["relevant"])
        return {"found": {str(name): float(found[name]) for name in found}, "intact": intact}

    def judge(self, case: Case, answer: Any) -> Verdict:
        """The names, then the number that the criterion asks for."""
        ranked, relevant, k = (case.inputs[name] for name in ("ranked", "relevant", "k"))
        at = [ranked.index(name) + 1 for name in relevant if name in ranked]
        given = (
            f"{len(ranked)} ranked, relevant ones at ranks {sorted(at)} and {len(relevant) - len(at)} not ranked, k={k}"
        )
        if not answer["intact"]:
            return wrong(f"an input was changed by the call; {given}")
        if sorted(answer["found"]) != ["mrr", "ndcg", "recall"]:
            return wrong(
                f"the dictionary has the names recall, mrr and ndcg; yours has {sorted(answer['found'])}; {given}"
            )
        ranks = np.array(sorted(rank for rank in at if rank <= k), dtype=np.float64)
        if case.criterion == "nothing found":
            zero = all(value == 0 for value in answer["found"].values())
            return right() if zero else wrong(f"nothing relevant is found: all three are 0; {given}")
        got = answer["found"][case.criterion]

        def gain(places: Any) -> float:
            return float((1 / np.log2(1 + np.asarray(places, dtype=np.float64))).sum())

        def among(numbers: Any) -> np.ndarray:
            return np.arange(1, int(numbers) + 1)

        count, hits = len(relevant), len(ranks)
        want, suspects = {
            "recall": (
                hits / count,
                [
                    (hits / k, "that is precision: recall is divided by the number of relevant ids"),
                    (hits / min(k, len(ranked)), "that is precision: recall is divided by the number of relevant ids"),
                    (len(at) / count, "ranks behind k count, too"),
                    (hits / min(k, count), "divided by at most k: recall is divided by all relevant ids"),
                    (hits / max(len(at), 1), "relevant ids that are not ranked are missed, too"),
                    (float(hits > 0), "whether there is one; the share of all relevant ids was asked"),
                ],
            ),
            "mrr": (
                1 / ranks[0],
                [
                    (1 / (ranks[0] - 1) if ranks[0] > 1 else math.inf, "the ranks are counted from 0; the first is 1"),
                    (1 / (ranks[0] + 1), "the first rank is 1, not 2"),
                    (float((1 / ranks).mean()), "a mean over all relevant ids; only the first one counts"),
                    (float((1 / ranks).sum()), "a sum over all relevant ids; only the first one counts"),
                    (1 / ranks[-1], "the rank of the last relevant id; the first was asked"),
                    (float(ranks[0]), "the rank; 1 / rank was asked"),
                ],
            ),
            "ndcg": (
                gain(ranks) / gain(among(min(k, count))),
                [
                    (gain(ranks), "the sum is not divided by what the best order gets"),
                    (gain(ranks) / gain(among(count)), "the best order has no more than k places"),
                    (gain(ranks) / gain(among(k)), "the best order has no more places than there are relevant ids"),
                    (gain(ranks) / gain(among(hits)), "the best order holds relevant ids that were not found, too"),
                    (gain(ranks) / gain(among(len(at))), "the best order holds relevant ids that were not ranked, too"),
                    (
                        gain(ranks) / gain(among(min(k, len(at)))),
                        "the best order holds relevant ids that were not ranked, too",
                    ),
                    (gain(sorted(at)) / gain(among(count)), "ranks behind k count, too"),
                    (gain(ranks + 1) / gain(among(min(k, count)) + 1), "a rank is worth 1 / log2(rank + 1), not + 2"),
                    (
                        (1 / ranks).sum() / (1 / among(min(k, count))).sum(),
                        "a rank is worth 1 / log2(rank + 1), not 1 / rank",
                    ),
                ],
            ),
        }[case.criterion]
        if close(got, want):
            return right()
        return name_the_mistake(
            got, [(value, f"{words}; {given}") for value, words in suspects], f"{case.criterion} is not right; {given}"
        )


# --------------------------------------------------------------------------------- 10.7 the prompt


class RagPrompt(HiddenCheck):
    """10.7: budgets just met and just missed, in words, characters and rounded tokens."""

    exercise = "rag-prompt"
    uses = ("rag_prompt",)
    criteria = {"layout and numbers": 0.5, "budget": 1.0, "question": 0.5}

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """The budget is what the prompt without passages takes, and so much more."""
        question = f"Who has number {int(rng.integers(100, 999))}?"
        texts = self._texts(rng, [4, 7, 3])
        repeated = [texts[0], "  " + texts[0].replace(" ", "\n ", 2), texts[1], " \n ", "", texts[2], texts[1] + "\t"]
        for passages in ([], texts, repeated, ["", "  "]):
            yield Case("layout and numbers", {"question": question, "passages": passages, "more": 900, "unit": "words"})
        many = self._texts(rng, [5, 12, 6, 3, 9])
        for more in (0, 6, 5, 7, 12, 13, 17, 18, 24, 31, 40):  # 6 refuses who stops too early, 5 who stays below
            yield Case("budget", {"question": question, "passages": many, "more": more, "unit": "words"})
        for more in rng.integers(10, 260, size=5).tolist():
            yield Case("budget", {"question": question, "passages": many, "more": more, "unit": "letters"})
        for more in rng.integers(3, 60, size=6).tolist():
            yield Case("budget", {"question": question, "passages": many, "more": more, "unit": "tokens"})
        same = [many[1], many[0], many[1] + " ", many[3], many[0]]
        for more in (6, 9, 14):
            yield Case("budget", {"question": question, "passages": same, "more": more, "unit": "words"})
        long = "Is this " + "very " * 30 + "long question cut?"
        for more, passages in ((0, texts), (-1, texts), (-20, []), (0, []), (-1, [])):
            yield Case("question", {"question": long, "passages": passages, "more": more, "unit": "words"})

    @staticmethod
    def _texts(rng: np.random.Generator, lengths: Sequence[int]) -> list[str]:
        return [" ".join("abcdefgh"[i] * (i % 5 + 1) for i in rng.integers(0, 8, size=n)) + f" n{n}" for n in lengths]

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The prompt and the numbers, or the refusal; the budget; the passages afterwards."""
        count = {
            "words": lambda text: len(text.split()),
            "letters": len,
            "tokens": lambda text: (len(text) + 3) // 4,
        }[inputs["unit"]]
        bare, _ = student.rag_prompt(inputs["question"], [], 10**9, len)
        budget = count(bare) + inputs["more"]
        passages = list(inputs["passages"])
        try:
            prompt, used = student.rag_prompt(inputs["question"], passages, budget, count)
        except ValueError as error:
            return {"refused": str(error)[:200], "bare": bare}
        intact = passages == list(inputs["passages"])
        return {"prompt": prompt, "used": [int(number) for number in used], "bare": bare, "intact": intact}

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Refusal, budget, numbers, layout."""
        inputs = case.inputs
        question, passages, more = inputs["question"], inputs["passages"], inputs["more"]
        sizes = [len(text.split()) for text in passages]
        given = f"passages of {sizes} words, a budget of {more} {inputs['unit']} over the prompt without passages"
        if more < 0:
            if "refused" in answer:
                return right()
            cut = not answer["prompt"].endswith(f"Question: {question}\nAnswer:")
            return wrong(
                f"{'the question was cut' if cut else 'the prompt exceeds the budget'}: raise a ValueError; {given}"
            )
        if "refused" in answer:
            return wrong(f"a ValueError although the question fits: {answer['refused']}; {given}")
        if not answer["intact"]:
            return wrong(f"the list of passages was changed; {given}")
        tail = f"Question: {question}\nAnswer:"
        head = answer["bare"].removesuffix(f"\n\n{tail}")
        prompt, used = answer["prompt"], answer["used"]
        if not prompt.endswith(tail):
            return wrong(f"the prompt does not end with the question and 'Answer:'; {given}")
        count = {"words": lambda text: len(text.split()), "letters": len, "tokens": lambda text: (len(text) + 3) // 4}
        size, budget = count[inputs["unit"]], count[inputs["unit"]](answer["bare"]) + more
        want = self._chosen(head, tail, passages, size, budget)
        if size(prompt) > budget:
            return wrong(f"the prompt has {size(prompt) - budget} {inputs['unit']} more than the budget; {given}")
        if used != want:
            return self._wrong_choice(used, want, head, tail, passages, size, budget, given)
        if prompt == _laid_out(head, tail, [passages[at] for at in want]):
            return right()
        lines = [f"[{at + 1}] {' '.join(passages[at].split())}" for at in want]
        if want and all(line in prompt for line in lines):
            return wrong(f"a passage keeps the number it had before others were left out; count in the prompt; {given}")
        return wrong(f"the layout is not instruction, numbered lines, question, with empty lines between; {given}")

    @staticmethod
    def _chosen(head: str, tail: str, passages: Sequence[str], size: Any, budget: int) -> list[int]:
        taken: list[int] = []
        for at, passage in enumerate(passages):
            same = any(passage.split() == passages[other].split() for other in taken)
            longer = _laid_out(head, tail, [passages[other] for other in [*taken, at]])
            if passage.split() and not same and size(longer) <= budget:
                taken.append(at)
        return taken

    def _wrong_choice(
        self,
        used: list[int],
        want: list[int],
        head: str,
        tail: str,
        passages: Sequence[str],
        size: Any,
        budget: int,
        given: str,
    ) -> Verdict:
        texts = [passages[at].split() for at in used if 0 <= at < len(passages)]
        if any(not text for text in texts):
            return wrong(f"an empty passage is among the numbers; {given}")
        if any(text in texts[:at] for at, text in enumerate(texts)):
            return wrong(f"a passage that repeats another, but for white space, is taken twice; {given}")
        if used == [at + 1 for at in want]:
            return wrong(f"passages are numbered from 0 in the list, and from 1 in the prompt; {given}")
        if used == list(range(len(want))) or used == list(range(1, len(want) + 1)):
            return wrong(f"the list holds numbers of the prompt; those in `passages` were asked; {given}")
        if set(want) < set(used):
            return wrong(
                f"the list names passages that are not in the prompt: {sorted(set(used) - set(want))}; {given}"
            )
        if self._chosen(head, tail, passages, size, budget - 1) == used:
            return wrong(f"a prompt of exactly the budget is allowed; {given}")
        if used == want[: len(used)]:
            return wrong(f"a passage that fits is missing: go on behind one that does not fit; {given}")
        return wrong(f"the passages {used} were taken; go through them in order and take each that still fits; {given}")


def _laid_out(head: str, tail: str, texts: Sequence[str]) -> str:
    middle = "".join(f"[{number}] {' '.join(text.split())}\n" for number, text in enumerate(texts, start=1))
    return f"{head}\n\n{middle}\n{tail}" if texts else f"{head}\n\n{tail}"


# --------------------------------------------------------------------------------- 10.8 abstaining


class Abstain(HiddenCheck):
    """10.8: the best sentence is in a passage that is poor otherwise; scores are negative, equal, at the threshold."""

    exercise = "abstain"
    uses = ("answer_or_abstain",)
    criteria = {"the sentence": 1.0, "the threshold": 1.0}

    def cases(self, rng: np.random.Generator) -> Iterable[Case]:
        """Sentences of one capital and a number; their scores are drawn, or set to tie."""
        for shape in ([3, 1, 4], [1, 2], [5]):
            scores = rng.permutation(sum(shape)) * 0.5 - 1.0
            yield self._case("the sentence", shape, scores.tolist(), -2.0)
        yield self._case("the sentence", [2, 3, 1], [0.2, 0.7, 0.1, 0.7, 0.3, 0.7], 0.5)
        yield self._case("the sentence", [2, 2], [-3.0, -1.5, -2.0, -4.0], -5.0)
        yield self._case("the sentence", [3, 3], [0.1, 0.2, 0.9, 0.8, 0.8, 0.8], 0.1)
        best = round(float(rng.uniform(0.2, 0.8)), 3)
        for threshold in (best - 0.001, best, best + 0.001, 5.0):
            yield self._case("the threshold", [2, 2], [best - 0.1, best, best - 0.2, 0.0], threshold)
        yield self._case("the threshold", [2], [-0.5, -0.25], -0.25)
        yield self._case("the threshold", [2], [-0.5, -0.25], -0.2)
        yield self._case("the threshold", [2], [0.0, 0.0], 0.0)
        yield self._case("the threshold", [], [], -9.0)
        yield self._case("the threshold", [0, 0], [], 0.0)

    @staticmethod
    def _case(criterion: str, shape: Sequence[int], scores: Sequence[float], threshold: float) -> Case:
        names = iter(f"Fact {'abcdefghijklmnop'[number]} holds." for number in range(sum(shape)))
        passages = [" ".join(next(names) for _ in range(count)) for count in shape]
        return Case(criterion, {"passages": passages, "scores": list(scores), "threshold": threshold})

    @staticmethod
    def probe(student: Any, inputs: dict[str, Any]) -> Any:
        """The answer, and what the score was asked."""
        import re

        sentences = [s for passage in inputs["passages"] for s in re.findall(r"[^.]+\.", passage)]
        value = {s.strip(): score for s, score in zip(sentences, inputs["scores"], strict=True)}
        asked = []

        def score(question, sentence):
            asked.append([question, sentence])
            return value.get(sentence, max(inputs["scores"], default=0.0) - 0.05)

        answer = student.answer_or_abstain("Which fact holds?", list(inputs["passages"]), score, inputs["threshold"])
        return {"answer": answer, "asked": asked}

    def judge(self, case: Case, answer: Any) -> Verdict:
        """Whether there is an answer, which, and what was asked."""
        passages, scores, threshold = (case.inputs[name] for name in ("passages", "scores", "threshold"))
        sentences = [f"{part.strip()}." for passage in passages for part in passage.split(".") if part.strip()]
        given = f"sentences with scores {scores}, threshold {threshold}"
        got, asked = answer["answer"], answer["asked"]
        if any(question != "Which fact holds?" for question, _ in asked):
            return wrong(f"score takes the question first and the sentence second; {given}")
        enough = [at for at, score in enumerate(scores) if score >= threshold]
        if not enough:
            if got is None:
                return right()
            words = "an answer below the threshold" if scores else "an answer although there is no sentence"
            return wrong(f"{words}: None was asked; {given}")
        want = sentences[max(enough, key=lambda at: (scores[at], -at))]
        if got is None:
            equal = max(scores) == threshold
            return wrong(
                f"no answer, though {'a score that equals' if equal else 'one is above'} the threshold; {given}"
            )
        if got == want:
            times = [sum(sentence == name for _, sentence in asked) for name in sentences]
            if max(times) > 1:
                return wrong(f"a sentence was scored {max(times)} times: score is slow, ask once; {given}")
            return right()
        if got in passages and got not in sentences:
            return wrong(f"a whole passage was returned; the best sentence was asked; {given}")
        if got not in sentences:
            return wrong(f"what was returned is no sentence of the passages; {given}")
        value = scores[sentences.index(got)]
        if value == max(scores):
            return wrong(f"of equal scores the first wins, over all passages; {given}")
        if value < threshold:
            return wrong(f"the sentence that was returned does not reach the threshold; {given}")
        if got == sentences[enough[0]]:
            return wrong(f"the first sentence that reaches the threshold; the best one was asked; {given}")
        return wrong(f"a sentence of another passage scores higher: all of them compete; {given}")

"""Vector search: the stored vectors that point most nearly where a query points.

Holds the exact index, which compares with every vector, and saves itself to files that hold numbers and text only.
The index that looks in a few clusters is `byhand.retrieval.inverted`. Leaves out compressed vectors and graphs
(product quantization, HNSW). Built in chapter 10.

Beside it stand faiss (`IndexFlatIP`) and scikit-learn (`NearestNeighbors`): on 6,000 vectors all three take the same
time, on 100,000 this one is the fastest and scikit-learn is ahead of faiss (measured on a CPU, one thread, 200 queries
at once: `tests/bench/rows_retrieval.py`).
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

Id = TypeVar("Id", int, str)

FORMAT = "byhand.retrieval.DenseIndex"
VERSION = 1
_ROUNDING = 1e-5
"""How far a float32 dot product of two unit vectors may be off: nearer scores are compared in double precision."""


class DenseIndex(Generic[Id]):
    """Vectors under ids, searched exactly by cosine similarity.

    Vectors are scaled to length 1 when they are stored and when they are asked for, so their lengths do not count.
    A vector of zeros has similarity 0 to all. All ids are numbers or all are strings.

    >>> index = DenseIndex()
    >>> index.add(["east", "north"], torch.tensor([[2.0, 0.0], [0.0, 1.0]]))
    >>> index.add(["far east"], torch.tensor([[9.0, 0.0]]))
    >>> index.search(torch.tensor([1.0, 0.0]), k=2)
    [('east', 1.0), ('far east', 1.0)]
    """

    def __init__(self) -> None:
        self._ids: list[Id] = []
        self._row_of: dict[Id, int] = {}
        self._vectors = torch.zeros(0, 0)

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def ids(self) -> list[Id]:
        """The ids, in no promised order."""
        return list(self._ids)

    def add(self, ids: Sequence[Id], vectors: Float[Tensor, "n d"]) -> None:
        """Store a vector under each id. An id that is there already gets the new vector: its document was edited.

        Raises:
            ValueError: when there are not as many ids as vectors, an id comes twice, a number is not finite, or
                the vectors are of another length than those stored.
            TypeError: when ids are neither all numbers nor all strings.
        """
        if len(ids) != len(vectors) or len(set(ids)) != len(ids):
            raise ValueError(
                f"{len(ids)} ids ({len(set(ids))} different) for {len(vectors)} vectors: give each its own id"
            )
        kinds = {type(name) for name in [*ids, *self._ids[:1]]}
        if len(kinds) > 1 or not kinds <= {int, str}:
            raise TypeError(f"ids must all be int or all be str, got {sorted(kind.__name__ for kind in kinds)}")
        if len(self) and vectors.shape[1] != self._vectors.shape[1]:
            raise ValueError(
                f"the index holds vectors of {self._vectors.shape[1]} numbers, got {vectors.shape[1]}: "
                "use one encoder for all"
            )
        if not vectors.isfinite().all():
            raise ValueError("vectors must be finite: drop or mend those that hold nan or inf")
        if not len(ids):
            return
        new = [name for name in ids if name not in self._row_of]
        self._make_room(len(self) + len(new), vectors.shape[1])
        for name in new:
            self._row_of[name] = len(self._ids)
            self._ids.append(name)
        rows = torch.tensor([self._row_of[name] for name in ids], dtype=torch.long)
        self._vectors[rows] = _unit(vectors.detach().cpu().float())

    def remove(self, ids: Iterable[Id]) -> None:
        """Forget the vectors of these ids.

        Raises:
            KeyError: when an id is not there.
        """
        for name in ids:
            row = self._row_of.pop(name)
            last = self._ids.pop()
            if last != name:
                self._ids[row] = last
                self._row_of[last] = row
                self._vectors[row] = self._vectors[len(self._ids)]

    def search(self, query: Float[Tensor, " d"], k: int) -> list[tuple[Id, float]]:
        """The k ids most similar to the query, as (id, cosine), best first, ties by id; all when there are fewer.

        Raises:
            ValueError: when `k` is below 1 or the query is of another length than the vectors.
        """
        return self.search_many(query[None], k)[0]

    def search_many(self, queries: Float[Tensor, "queries d"], k: int) -> list[list[tuple[Id, float]]]:
        """`search` for each query, with one matrix product for a block of queries.

        Raises:
            ValueError: as `search`.
        """
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        if not len(self):
            return [[] for _ in queries]
        stored = self._vectors[: len(self)]
        if queries.shape[1] != stored.shape[1]:
            raise ValueError(f"the query has {queries.shape[1]} numbers, the vectors have {stored.shape[1]}")
        found = []
        size = max(1, 2**24 // len(self))
        units = _unit(queries.detach().cpu().float())
        for block in (units[start : start + size] for start in range(0, len(units), size)):
            scores = block @ stored.T  # (queries, n)
            bars = scores.topk(min(k, len(self))).values[:, -1:] - _ROUNDING
            for query, candidates in zip(block, scores >= bars, strict=True):
                found.append(self._sort(query, candidates.nonzero()[:, 0])[:k])
        return found

    def _sort(self, query: Float[Tensor, " d"], rows: Int[Tensor, " m"]) -> list[tuple[Id, float]]:
        """Candidates by score in double precision, where equal vectors have equal scores, and then by id."""
        scores = (_unit(self._vectors[rows].double()) * _unit(query.double()[None])).sum(1)
        hits = [(self._ids[row], score) for row, score in zip(rows.tolist(), scores.tolist(), strict=True)]
        return sorted(hits, key=lambda hit: (-hit[1], hit[0]))

    def _make_room(self, needed: int, d: int) -> None:
        """Grow by doubling, so that adding one at a time copies each vector a few times only."""
        if needed > len(self._vectors):
            grown = torch.zeros(max(needed, 2 * len(self._vectors)), d)
            if len(self):
                grown[: len(self)] = self._vectors[: len(self)]
            self._vectors = grown

    def save(self, folder: Path) -> None:
        """Write `vectors.safetensors` and `index.json` (ids, version, sha256 of the vectors) into the folder."""
        from safetensors.torch import save

        folder.mkdir(parents=True, exist_ok=True)
        content = save({"vectors": self._vectors[: len(self)].contiguous()})
        listed = {
            "format": FORMAT,
            "version": VERSION,
            "sha256": hashlib.sha256(content).hexdigest(),
            "ids": self._ids,
        }
        for name, data in (("vectors.safetensors", content), ("index.json", json.dumps(listed).encode())):
            beside = folder / f"{name}.part"
            beside.write_bytes(data)
            beside.replace(folder / name)

    @classmethod
    def load(cls, folder: Path) -> "DenseIndex[Any]":
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: when a file is missing.
            ValueError: when the files are of another format or version, damaged, or not of one save.
        """
        from safetensors.torch import load

        try:
            listed = json.loads((folder / "index.json").read_text(encoding="utf-8"))
            kind = listed["format"], listed["version"]
        except (ValueError, KeyError, TypeError):
            raise ValueError(f"{folder / 'index.json'} is damaged: build the index again and save it") from None
        if kind != (FORMAT, VERSION):
            raise ValueError(
                f"{folder} holds {kind[0]} version {kind[1]}, this reads {FORMAT} version {VERSION}: "
                "build the index again and save it"
            )
        content = (folder / "vectors.safetensors").read_bytes()
        if hashlib.sha256(content).hexdigest() != listed["sha256"]:
            raise ValueError(
                f"{folder / 'vectors.safetensors'} is not what index.json describes (its sha256 differs): "
                "build the index again and save it"
            )
        index: DenseIndex[Any] = cls()
        vectors = load(content)["vectors"]
        index.add(listed["ids"], vectors)
        index._vectors = vectors  # bit for bit as saved: scaled a second time they would be a rounding away
        return index


def _unit(vectors: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    return nn.functional.normalize(vectors, dim=-1)

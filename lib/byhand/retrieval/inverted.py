"""The inverted file: vectors kept in clusters, of which a search looks into a few.

Holds the index and its training by k-means. Leaves out compressed vectors. Built in chapter 10.
"""

from collections.abc import Sequence
from typing import Generic

import torch
from jaxtyping import Float
from torch import Tensor, nn

from byhand.prompting.clustering import kmeans, nearest, seed_centroids
from byhand.retrieval.index import DenseIndex, Id


class InvertedFileIndex(Generic[Id]):
    """Vectors under ids, searched by cosine similarity in the `n_probe` clusters nearest to the query.

    With n_probe equal to the number of clusters the search is exact; with fewer it reads that much less and
    misses what lies across a border. Sivic and Zisserman 2003; Jégou et al. 2011, section IV.

    Args:
        sample: vectors like those to come, from which the clusters are learned.
        n_lists: number of clusters; the square root of the number of vectors is usual.
        rng: of the k-means seeding.
        iters: rounds of k-means.

    Raises:
        ValueError: when `n_lists` is not between 1 and the number of vectors in the sample.
    """

    def __init__(self, sample: Float[Tensor, "n d"], n_lists: int, rng: torch.Generator, *, iters: int = 20) -> None:
        units = nn.functional.normalize(sample.float(), dim=-1)
        _, self.centroids, _ = kmeans(units, seed_centroids(units, n_lists, rng), iters)
        self._lists: list[DenseIndex[Id]] = [DenseIndex() for _ in range(n_lists)]
        self._list_of: dict[Id, int] = {}

    def __len__(self) -> int:
        return len(self._list_of)

    def add(self, ids: Sequence[Id], vectors: Float[Tensor, "n d"]) -> None:
        """Store a vector under each id, in the list of its nearest centroid; an id that is there is replaced.

        Raises:
            ValueError: as `DenseIndex.add`.
            TypeError: as there.
        """
        if len(ids) != len(vectors) or len(set(ids)) != len(ids):
            raise ValueError(
                f"{len(ids)} ids ({len(set(ids))} different) for {len(vectors)} vectors: give each its own id"
            )
        units = nn.functional.normalize(vectors.float(), dim=-1)
        lists = nearest(units, self.centroids)
        self.remove([name for name in ids if name in self._list_of])
        for number in sorted(set(lists.tolist())):
            rows = (lists == number).nonzero()[:, 0]
            names = [ids[row] for row in rows.tolist()]
            self._lists[number].add(names, vectors[rows])
            self._list_of.update(dict.fromkeys(names, number))

    def remove(self, ids: Sequence[Id]) -> None:
        """Forget the vectors of these ids.

        Raises:
            KeyError: when an id is not there.
        """
        for name in ids:
            self._lists[self._list_of.pop(name)].remove([name])

    def search(self, query: Float[Tensor, " d"], k: int, n_probe: int) -> list[tuple[Id, float]]:
        """The k ids most similar to the query among those in the nearest `n_probe` lists, as `DenseIndex.search`.

        Raises:
            ValueError: when `n_probe` is not between 1 and the number of lists, or as `DenseIndex.search`.
        """
        if not 1 <= n_probe <= len(self._lists):
            raise ValueError(f"n_probe must lie between 1 and the {len(self._lists)} lists, got {n_probe}")
        unit = nn.functional.normalize(query.float(), dim=-1)
        distances = self.centroids.square().sum(1) - 2 * self.centroids @ unit
        probed = distances.topk(n_probe, largest=False).indices.tolist()
        hits = [hit for number in probed for hit in self._lists[number].search(query, k)]
        return sorted(hits, key=lambda hit: (-hit[1], hit[0]))[:k]

"""K-means: groups of points around centroids, and a seeding good enough to need one start.

Holds Lloyd's iterations from given centroids, greedy k-means++ seeding with swaps, and the two together. Leaves out
mini-batches and the triangle inequality's short cuts. Built in chapter 9, for Auto-CoT; chapter 10 builds its index
with it.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


def kmeans(
    points: Float[Tensor, "n d"], centroids: Float[Tensor, "k d"], iters: int
) -> tuple[Int[Tensor, " n"], Float[Tensor, "k d"], float]:
    """At most `iters` rounds of Lloyd's algorithm: each point to its nearest centroid, each centroid to its mean.

    It stops early when no point changes its cluster. Of centroids equally near, the first gets the point; a
    centroid without points stays where it is. Lloyd 1982.

    Args:
        points: what to group.
        centroids: where to start.
        iters: rounds; 0 only assigns.

    Returns:
        The cluster of each point *after* the last move, the centroids, and the inertia: the sum of squared
        distances of the points to their centroids. It never rises from round to round.

    Raises:
        ValueError: when there are no points or centroids, `iters` is below 0, or a number is not finite.

    >>> points = torch.tensor([[0.0], [2.0], [10.0], [12.0]])
    >>> kmeans(points, torch.tensor([[0.0], [2.0]]), iters=10)
    (tensor([0, 0, 1, 1]), tensor([[ 1.],
            [11.]]), 4.0)
    """
    if not len(points) or not len(centroids) or iters < 0:
        sizes = f"{len(points)} points, {len(centroids)} centroids, iters={iters}"
        raise ValueError(f"need points, centroids and iters >= 0, got {sizes}")
    if not (points.isfinite().all() and centroids.isfinite().all()):
        raise ValueError("points and centroids must be finite: drop or mend the rows that hold nan or inf")
    # Around their mean the numbers are small, and the squares below lose no digits to one another.
    middle = points.mean(0)
    points, centroids = points - middle, centroids - middle
    assign = nearest(points, centroids)
    for _ in range(iters):
        centroids = _means(points, assign, centroids)
        fresh = nearest(points, centroids)
        if torch.equal(fresh, assign):
            break
        assign = fresh
    inertia = (points - centroids[assign]).square().sum(dtype=torch.float64).item()
    return assign, centroids + middle, inertia


def nearest(points: Float[Tensor, "n d"], centroids: Float[Tensor, "k d"]) -> Int[Tensor, " n"]:
    """The number of each point's nearest centroid, the first of equally near ones.

    |p - c|² = |p|² - 2 p·c + |c|², of which |p|² is the same for every centroid: one matrix product.
    """
    return torch.addmm(centroids.square().sum(1), points, centroids.T, alpha=-2).argmin(1)


def _means(
    points: Float[Tensor, "n d"], assign: Int[Tensor, " n"], centroids: Float[Tensor, "k d"]
) -> Float[Tensor, "k d"]:
    """The mean of each cluster's points; an empty cluster keeps its centroid."""
    sizes = assign.bincount(minlength=len(centroids))[:, None]
    sums = torch.zeros_like(centroids).index_add_(0, assign, points)
    return torch.where(sizes > 0, sums / sizes.clamp(min=1), centroids)


def seed_centroids(points: Float[Tensor, "n d"], k: int, rng: torch.Generator, swaps: int = 0) -> Float[Tensor, "k d"]:
    """Points to start from, spread out: greedy k-means++, and then swaps.

    The first is drawn at random. For each next one 2 + log(k) candidates are drawn, a point with a probability
    proportional to its squared distance to the nearest chosen one, and the candidate that leaves the least
    inertia is taken (Arthur and Vassilvitskii 2007; the greedy choice is in their section 5 and in scikit-learn).
    Then `swaps` times as many candidates are drawn again, and the best exchange of one of them for a chosen point
    is made if it lowers the inertia: a group that got two points gives one to a group that got none (Lattanzi and
    Sohler 2019). Swaps keep n times k distances.

    Raises:
        ValueError: when k is not between 1 and the number of points.
    """
    if not 1 <= k <= len(points):
        raise ValueError(f"k must lie between 1 and the number of points, {len(points)}; got {k}")
    trials = 2 + int(math.log(k))
    centred = points - points.mean(0)
    lengths = centred.square().sum(1)

    def squared_distances(chosen: Int[Tensor, " m"]) -> Float[Tensor, "m n"]:
        return (lengths[chosen, None] + lengths - 2 * centred[chosen] @ centred.T).clamp(min=0)

    def draw(weights: Float[Tensor, " n"], count: int) -> Int[Tensor, " count"]:
        reached = weights.double().cumsum(0)
        marks = torch.rand(count, generator=rng, dtype=torch.float64).to(points.device) * reached[-1]
        return torch.searchsorted(reached, marks, right=True).clamp(max=len(points) - 1)

    chosen = torch.randint(len(points), (1,), generator=rng).to(points.device)
    closest = squared_distances(chosen)[0]
    while len(chosen) < k:
        candidates = draw(closest, trials)
        left = torch.minimum(closest, squared_distances(candidates))
        best = left.sum(1).argmin()
        closest = left[best]
        chosen = torch.cat([chosen, candidates[best : best + 1]])
    if swaps and k > 1:
        distances = squared_distances(chosen).T.contiguous()  # (n, k)
        (first, second), owner = _two_nearest(distances)
        for _ in range(swaps):
            candidates = draw(first, trials)
            to_candidates = squared_distances(candidates)
            kept = torch.minimum(first, to_candidates)
            # The inertia for each candidate that comes and each chosen point that goes: a point keeps the nearer of
            # candidate and nearest, unless that one goes; then it has the nearer of candidate and second nearest.
            inertia = kept.sum(1, keepdim=True).repeat(1, k)
            inertia.index_add_(1, owner, torch.minimum(second, to_candidates) - kept)
            came, gone = divmod(int(inertia.argmin()), k)
            if inertia[came, gone] < first.sum():
                distances[:, gone] = to_candidates[came]
                chosen[gone] = candidates[came]
                (first, second), owner = _two_nearest(distances)
    return points[chosen]


def _two_nearest(
    distances: Float[Tensor, "n k"],
) -> tuple[tuple[Float[Tensor, " n"], Float[Tensor, " n"]], Int[Tensor, " n"]]:
    """The distance of each point to its nearest and second nearest chosen one, and which is the nearest."""
    values, places = distances.topk(2, dim=1, largest=False)
    return (values[:, 0], values[:, 1]), places[:, 0]


@dataclass(frozen=True)
class Clustering:
    """A grouping of points.

    Attributes:
        assign: the cluster of each point.
        centroids: the mean of each cluster.
        inertia: the sum of squared distances of the points to their centroids.
    """

    assign: Int[Tensor, " n"]
    centroids: Float[Tensor, "k d"]
    inertia: float


def cluster(
    points: Float[Tensor, "n d"], k: int, rng: torch.Generator, *, starts: int = 1, iters: int = 300
) -> Clustering:
    """K-means from greedy k-means++ seeds with k swaps: the best of `starts` runs, of which one usually is enough.

    Raises:
        ValueError: as `kmeans` and `seed_centroids`.

    >>> points = torch.tensor([[0.0], [2.0], [10.0], [12.0], [50.0]])
    >>> cluster(points, 3, torch.Generator().manual_seed(0)).inertia
    4.0
    """
    runs = [Clustering(*kmeans(points, seed_centroids(points, k, rng, swaps=k), iters)) for _ in range(starts)]
    return min(runs, key=lambda run: run.inertia)

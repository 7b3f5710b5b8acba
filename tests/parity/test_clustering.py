"""K-means beside scikit-learn's: the same path from the same start, and as good a start."""

import numpy as np
import pytest
import torch
from byhand.prompting import cluster, kmeans


def blobs(n, k, d, seed, spread=3.0):
    rng = torch.Generator().manual_seed(seed)
    centres = torch.randn(k, d, generator=rng) * spread
    return centres[torch.randint(k, (n,), generator=rng)] + torch.randn(n, d, generator=rng)


@pytest.mark.parametrize(("n", "k", "d", "seed"), [(200, 5, 3, 0), (150, 12, 7, 1), (90, 2, 1, 2), (300, 20, 10, 3)])
def test_from_the_same_centroids_it_goes_the_same_way(n, k, d, seed):
    from sklearn.cluster import KMeans

    points = blobs(n, k, d, seed, spread=1.0).double()
    start = points[torch.randperm(n, generator=torch.Generator().manual_seed(seed))[:k]]
    # tol=0: until no point changes its cluster, as ours does
    peer = KMeans(k, init=start.numpy(), n_init=1, max_iter=300, tol=0, algorithm="lloyd").fit(points.numpy())
    assign, centroids, inertia = kmeans(points, start, iters=300)
    assert assign.tolist() == peer.labels_.tolist()
    np.testing.assert_allclose(centroids.numpy(), peer.cluster_centers_, rtol=1e-9, atol=1e-9)
    assert inertia == pytest.approx(peer.inertia_, rel=1e-9)


def test_one_start_is_as_good_as_the_best_of_ten():
    from sklearn.cluster import KMeans

    points = blobs(1500, 40, 48, seed=7)
    peer = KMeans(40, n_init=10, random_state=0).fit(points.numpy())
    for seed in range(4):
        assert cluster(points, 40, torch.Generator().manual_seed(seed)).inertia <= 1.001 * peer.inertia_

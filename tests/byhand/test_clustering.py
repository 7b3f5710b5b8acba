"""K-means: what each round must improve, what a cluster without points does, and where seeds fall."""

import math

import pytest
import torch
from byhand.prompting import cluster, kmeans, seed_centroids
from hypothesis import given, settings
from hypothesis import strategies as st


def blobs(n=90, k=5, d=3, seed=0, dtype=torch.float64):
    rng = torch.Generator().manual_seed(seed)
    centres = torch.randn(k, d, generator=rng, dtype=dtype) * 20
    return centres[torch.randint(k, (n,), generator=rng)] + torch.randn(n, d, generator=rng, dtype=dtype)


def inertia_of(points, centroids):
    return torch.cdist(points, centroids).square().min(1).values.sum().item()


@given(seed=st.integers(0, 10_000), k=st.integers(1, 7), n=st.integers(1, 30), iters=st.integers(0, 5))
@settings(deadline=None, max_examples=60)
def test_inertia_never_rises_and_the_assignment_is_fresh(seed, k, n, iters):
    rng = torch.Generator().manual_seed(seed)
    points = torch.randn(n, 2, generator=rng, dtype=torch.float64).round(decimals=1)
    start = torch.randn(k, 2, generator=rng, dtype=torch.float64) * 3
    assign, centroids, inertia = kmeans(points, start, iters)
    distances = torch.cdist(points, centroids)
    chosen = distances.gather(1, assign[:, None])[:, 0]
    torch.testing.assert_close(chosen, distances.min(1).values)
    assert math.isclose(inertia, chosen.square().sum().item(), rel_tol=1e-9, abs_tol=1e-12)
    assert kmeans(points, start, iters + 1)[2] <= inertia + 1e-9


def test_centroids_are_the_means_of_their_points_once_it_has_settled():
    points = blobs()
    assign, centroids, _ = kmeans(points, points[:5], iters=100)
    for number in assign.unique():
        torch.testing.assert_close(centroids[number], points[assign == number].mean(0), rtol=1e-9, atol=1e-9)


def test_one_round_is_one_move_of_the_centroids():
    points = torch.tensor([[0.0], [1.0], [5.0], [6.0]])
    _, centroids, inertia = kmeans(points, torch.tensor([[0.0], [1.0]]), iters=1)
    assert centroids.tolist() == [[0.0], [4.0]]
    assert inertia == 0 + 1 + 1 + 4


def test_no_round_only_assigns():
    start = torch.tensor([[0.0], [4.0]])
    assign, centroids, _ = kmeans(torch.tensor([[1.0], [3.0], [2.0]]), start, iters=0)
    assert assign.tolist() == [0, 1, 0], "of two equally near centroids the first gets the point"
    assert torch.equal(centroids, start)


def test_a_cluster_without_points_keeps_its_centroid():
    points = torch.tensor([[0.0, 0.0], [2.0, 0.0], [1.0, 0.0]])
    assign, centroids, inertia = kmeans(points, torch.tensor([[1.0, 0.0], [50.0, 50.0]]), iters=5)
    assert assign.tolist() == [0, 0, 0]
    assert centroids.tolist() == [[1.0, 0.0], [50.0, 50.0]]
    assert inertia == 2


def test_points_far_from_zero_are_told_apart_in_single_precision():
    points = blobs(dtype=torch.float32)
    near = kmeans(points, points[:5], iters=50)
    far = kmeans(points + 4096, points[:5] + 4096, iters=50)
    assert torch.equal(near[0], far[0])
    assert math.isclose(near[2], far[2], rel_tol=1e-2)


def test_kmeans_leaves_its_inputs_alone_and_keeps_the_dtype():
    for dtype in (torch.float32, torch.float64):
        points = blobs(dtype=dtype)
        start = points[:4].clone()
        before = points.clone(), start.clone()
        _, centroids, _ = kmeans(points, start, iters=10)
        assert centroids.dtype == dtype
        assert torch.equal(points, before[0])
        assert torch.equal(start, before[1])


@pytest.mark.parametrize(
    ("points", "centroids", "iters", "words"),
    [
        (torch.zeros(0, 2), torch.zeros(1, 2), 1, "0 points, 1 centroids"),
        (torch.zeros(1, 2), torch.zeros(0, 2), 1, "1 points, 0 centroids"),
        (torch.zeros(1, 2), torch.zeros(1, 2), -1, "iters=-1"),
        (torch.tensor([[math.nan]]), torch.zeros(1, 1), 1, "must be finite"),
        (torch.zeros(1, 1), torch.tensor([[math.inf]]), 1, "must be finite"),
    ],
)
def test_nothing_to_group_is_named(points, centroids, iters, words):
    with pytest.raises(ValueError, match=words):
        kmeans(points, centroids, iters)


def test_seeds_are_points_and_different_while_points_differ():
    points = blobs(n=20, seed=3)
    seeds = seed_centroids(points, 20, torch.Generator().manual_seed(0))
    assert sorted(seeds.tolist()) == sorted(points.tolist())


def test_seeds_can_be_drawn_from_points_that_are_all_the_same():
    assert seed_centroids(torch.ones(6, 2), 3, torch.Generator().manual_seed(0)).tolist() == [[1.0, 1.0]] * 3


def test_greedy_seeds_find_each_of_many_far_groups():
    points = blobs(n=400, k=12, d=4, seed=5)
    best = min(cluster(points, 12, torch.Generator().manual_seed(seed)).inertia for seed in range(5))
    for seed in range(5, 15):
        assert cluster(points, 12, torch.Generator().manual_seed(seed)).inertia <= 1.001 * best


def test_greedy_seeds_alone_are_near_every_group_and_swaps_bring_them_nearer():
    points = blobs(n=400, k=12, d=4, seed=5)
    best = cluster(points, 12, torch.Generator().manual_seed(0)).inertia
    seeded, swapped = (
        [
            inertia_of(points, seed_centroids(points, 12, torch.Generator().manual_seed(seed), swaps))
            for seed in range(9)
        ]
        for swaps in (0, 12)
    )
    assert sorted(seeded)[4] < 4 * best
    assert all(after <= before for after, before in zip(swapped, seeded, strict=True))
    assert sum(swapped) < 0.9 * sum(seeded)


def test_a_swap_that_does_not_help_is_not_made():
    points = torch.rand(40, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = [
        inertia_of(points, seed_centroids(points, 6, torch.Generator().manual_seed(2), n)) for n in range(0, 30, 3)
    ]
    assert found == sorted(found, reverse=True)


def test_of_several_starts_the_best_is_kept_and_the_draw_repeats():
    points = torch.rand(40, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rng = torch.Generator().manual_seed(1)
    runs = [cluster(points, 9, rng).inertia for _ in range(6)]
    assert len(set(runs)) > 1
    best = cluster(points, 9, torch.Generator().manual_seed(1), starts=6)
    assert best.inertia == min(runs)
    assert math.isclose(best.inertia, inertia_of(points, best.centroids), rel_tol=1e-9)


def test_the_global_random_state_is_not_touched():
    state = torch.random.get_rng_state()
    cluster(blobs(), 4, torch.Generator().manual_seed(0))
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("k", [0, 7])
def test_a_number_of_clusters_out_of_range_is_named(k):
    with pytest.raises(ValueError, match="k must lie between 1 and the number of points, 6"):
        seed_centroids(torch.rand(6, 2), k, torch.Generator())

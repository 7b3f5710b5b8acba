"""Compute, memory and laws: counted equals measured, planted laws are found again."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from byhand.gpt import GPT, GPTConfig
from byhand.scaling import (
    activation_bytes,
    compute_optimal,
    epochs,
    exact_match,
    fit_scaling,
    fit_surface,
    flops_per_token,
    flops_utilization,
    gpt_parameters,
    isoflop_minima,
    matmul_parameters,
    measure_activations,
    tokens_seen,
    train_flops,
    training_memory,
)
from byhand.scaling.laws import ScalingFit, ScalingSurface

CONFIGS = [
    GPTConfig(vocab_size=101, max_seq=19, d_model=24, n_layers=2, n_heads=3),
    GPTConfig(vocab_size=64, max_seq=33, d_model=20, n_layers=3, n_heads=2, d_ff=36, positions="rotary", bias=False),
    GPTConfig(vocab_size=50, max_seq=9, d_model=12, n_layers=1, n_heads=3, activation="gated_gelu", tied=False),
]
SIZES = np.geomspace(1e4, 1e9, 12)


@pytest.mark.parametrize("config", CONFIGS)
def test_parameters_on_paper_are_the_models_own(config):
    assert gpt_parameters(config) == sum(parameter.numel() for parameter in GPT(config).parameters())


@pytest.mark.parametrize("config", CONFIGS)
def test_operations_on_paper_are_those_that_torch_counts(config):
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    model = GPT(config)
    ids = torch.randint(config.vocab_size, (5, 7), generator=torch.Generator().manual_seed(0))
    with sdpa_kernel(SDPBackend.MATH):  # the fused kernel's products are not seen by the counter
        with FlopCounterMode(display=False) as forward:
            logits = model(ids)
        with FlopCounterMode(display=False) as backward:
            logits.square().mean().backward()
    assert forward.get_total_flops() == 35 * flops_per_token(config, seq=7)
    assert forward.get_total_flops() + backward.get_total_flops() == train_flops(config, 35, exact=True, seq=7)


def test_six_n_d_counts_weights_and_grows_with_tokens_only():
    config = CONFIGS[0]
    assert matmul_parameters(config) == 2 * 12 * 24**2 + 101 * 24
    assert train_flops(config, 10) == 60 * matmul_parameters(config)
    assert train_flops(config, 10, seq=1) == train_flops(config, 10, seq=19)
    long = GPTConfig(vocab_size=101, max_seq=4096, d_model=24, n_layers=2, n_heads=3)
    assert train_flops(long, 10, exact=True) > 10 * train_flops(long, 10)


def test_the_published_runs_are_found_again():
    assert math.isclose(6 * 175e9 * 300e9, 3.15e23)
    assert round(epochs(tokens_seen(256, 512, 10**6), 3_300_000_000), 1) == 39.7
    assert epochs(100, 50, tokens_per_word=2.0) == 1.0
    assert tokens_seen(*np.array([256, 512, 10**6], dtype=np.int32)) == 256 * 512 * 10**6
    assert flops_utilization(10.0, 2.0, 50.0) == 0.1


@pytest.mark.parametrize("config", CONFIGS[:2])
def test_activations_on_paper_are_what_the_forward_pass_keeps(config):
    model = GPT(config)
    batch, seq = 5, 9
    ids = torch.randint(config.vocab_size, (batch, seq), generator=torch.Generator().manual_seed(1))

    def forward():
        return F.cross_entropy(model(ids).flatten(0, 1), ids.flatten())

    measured = measure_activations(model, forward)
    on_paper = activation_bytes(config, batch, seq)
    # ids, positions, the scalar of the loss, and the turned queries and keys of rotary positions are not in the formula
    assert on_paper <= measured <= on_paper * 1.25
    if config.positions == "learned":
        assert measured - on_paper <= 8 * (batch * seq + seq) + 8 * batch * seq


def test_memory_of_mixed_precision_saves_activations_and_nothing_else():
    config = CONFIGS[0]
    n = gpt_parameters(config)
    full, half = (training_memory(config, 3, 7, dtype) for dtype in ("fp32", "bf16"))
    assert full["parameters"] == full["gradients"] == 4 * n
    assert full["optimizer"] == half["optimizer"] == 8 * n
    assert full["master"] == 0
    assert half["master"] == 4 * n
    assert half["activations"] < full["activations"]
    assert full["total"] == sum(value for part, value in full.items() if part != "total")
    assert training_memory(config, 3, 7, optimizer="sgd")["optimizer"] == 0
    assert training_memory(config, 3, 7, optimizer="momentum")["optimizer"] == 4 * n


def test_a_planted_law_is_found_under_noise_and_beside_a_run_gone_wrong():
    law = ScalingFit(E=1.69, A=406.4, alpha=0.34)
    for seed in range(4):
        losses = law.predict(SIZES) * np.exp(np.random.default_rng(seed).normal(0, 0.01, len(SIZES)))
        fit = fit_scaling(SIZES, losses)
        assert pytest.approx(1.69, rel=0.03) == fit.E
        assert fit.alpha == pytest.approx(0.34, rel=0.05)
        losses[3] *= 1.5
        robust = fit_scaling(SIZES, losses)
        assert robust.alpha == pytest.approx(fit.alpha, rel=0.02)
    exact = fit_scaling(SIZES, law.predict(SIZES))
    assert exact.predict(SIZES) == pytest.approx(law.predict(SIZES), rel=1e-6)


def test_a_law_without_an_irreducible_part_is_found_too():
    fit = fit_scaling(SIZES, ScalingFit(0.0, 50.0, 0.1).predict(SIZES))
    assert fit.alpha == pytest.approx(0.1, rel=1e-3)
    assert fit.E < 1e-3


def test_a_planted_surface_is_found_and_its_split_is_the_best_on_the_constraint():
    law = ScalingSurface(E=1.69, A=406.4, a=0.34, B=410.7, b=0.28)
    sizes, lengths = (np.ravel(each) for each in np.meshgrid(np.geomspace(1e6, 1e9, 5), np.geomspace(1e8, 1e11, 4)))
    fit = fit_surface(sizes, lengths, law.predict(sizes, lengths))
    assert (fit.E, fit.A, fit.a, fit.B, fit.b) == pytest.approx((1.69, 406.4, 0.34, 410.7, 0.28), rel=1e-5)
    n, d = fit.split(1e21)
    assert 6 * n * d == pytest.approx(1e21)
    best = fit.predict([n], [d])[0]
    for factor in (0.5, 0.99, 1.01, 2.0):
        assert fit.predict([n * factor], [d / factor])[0] > best


def test_the_split_leans_to_the_side_whose_loss_falls_slower():
    n, d = compute_optimal(6e12, A=400.0, B=400.0, a=0.5, b=0.3)
    assert d > n
    assert 6 * n * d == pytest.approx(6e12)
    slopes = 0.5 * 400 * n**-0.5, 0.3 * 400 * d**-0.3
    assert slopes[0] == pytest.approx(slopes[1])


def test_each_budgets_vertex_is_its_own_and_lies_between_the_runs():
    runs = [
        (budget, n, 2 + 0.3 * (math.log(n) - math.log(best)) ** 2)
        for budget, best in ((1e15, 3e6), (1e17, 4e7))
        for n in (best / 5, best * 1.7, best * 4)
    ]
    found = isoflop_minima(runs[::-1])
    assert found == {1e15: pytest.approx(3e6), 1e17: pytest.approx(4e7)}


def test_smooth_token_accuracy_looks_like_emergence_in_exact_matches():
    accuracy = np.array([0.2, 0.5, 0.8, 0.95])
    assert exact_match(accuracy, 1) == pytest.approx(accuracy)
    assert exact_match(accuracy, 6) == pytest.approx([6.4e-5, 0.0156, 0.262, 0.735], rel=0.01)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: fit_scaling([1, 2, 3], [3, 2, 1]), "at least 4 sizes, got 3"),
        (lambda: fit_scaling([1, 2, 3, 4], [3, 2, 1]), r"n \(4,\), loss \(3,\)"),
        (lambda: fit_scaling([1, 2, 3, 0], [3, 2, 1, 1]), "n holds 0"),
        (lambda: fit_scaling([1, 2, 3, 4], [3, 2, math.nan, 1]), "loss holds nan"),
        (lambda: fit_surface([1, 2, 3, 4], [1, 2, 3, 4], [4, 3, 2, 1]), "at least 6 runs"),
        (lambda: compute_optimal(0, 1, 1, 1, 1), "above 0"),
        (lambda: isoflop_minima([(1e9, 1, 2), (1e9, 2, 3)]), "2 sizes"),
        (lambda: isoflop_minima([(1e9, n, -((n - 2) ** 2) + 9) for n in (1, 2, 3, 4)]), "no lowest point"),
        (lambda: train_flops(CONFIGS[0], -1), "not be negative"),
        (lambda: flops_per_token(CONFIGS[0], 0), "at least 1"),
        (lambda: tokens_seen(-1, 2, 3), "not be negative"),
        (lambda: epochs(10, 0), "above 0"),
        (lambda: flops_utilization(1, 0, 1), "above 0"),
        (lambda: exact_match(np.array([0.5]), 0), "at least 1"),
        (lambda: activation_bytes(CONFIGS[0], 0, 1), "at least 1"),
        (lambda: training_memory(CONFIGS[0], 1, 1, "fp8"), "choose one of fp32, fp16, bf16"),
        (lambda: training_memory(CONFIGS[0], 1, 1, "fp32", "lion"), "choose one of sgd"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises((ValueError, TypeError), match=words):
        call()

"""Shipped checkpoints: what was written comes back, and every damage is named with its remedy."""

import json

import pytest
import torch
from byhand import checkpoints

CARD = {
    "what": "a test",
    "data": "none",
    "recipe": {"steps": 3},
    "config": {"vocab_size": 5},
    "parameters": 8,
    "results": {},
}


@pytest.fixture
def folder(tmp_path):
    """Two checkpoints of odd weights."""
    rng = torch.Generator().manual_seed(0)
    weights = {
        "b": torch.randn(3, 2, generator=rng),
        "a": torch.randn(4, 3, generator=rng).T[:, 1:],
        "c": torch.ones(()),
    }
    checkpoints.write("one", weights, CARD, tmp_path)
    checkpoints.write("two", {"a": torch.tensor([0.1, 70.0, -1e-3])}, CARD, tmp_path)
    return tmp_path


def test_what_was_written_comes_back_in_float32_rounded_to_fp16(folder):
    found = checkpoints.read("two", folder)
    assert found.weights["a"].dtype == torch.float32
    assert torch.equal(found.weights["a"], torch.tensor([0.1, 70.0, -1e-3]).half().float())
    assert found.config == {"vocab_size": 5}
    assert found.card == {"name": "two", **CARD, "sha256": found.card["sha256"]}
    shapes = {name: tuple(tensor.shape) for name, tensor in checkpoints.read("one", folder).weights.items()}
    assert shapes == {"a": (3, 3), "b": (3, 2), "c": ()}
    assert checkpoints.names(folder) == ["one", "two"]
    assert not list(folder.glob("*.part"))


def test_the_same_weights_give_the_same_bytes(folder):
    before = (folder / "two.safetensors").read_bytes()
    checkpoints.write("two", {"a": torch.tensor([0.1, 70.0, -1e-3])}, CARD, folder)
    assert (folder / "two.safetensors").read_bytes() == before


def test_an_unknown_name_lists_those_there_are(folder):
    with pytest.raises(ValueError, match="no checkpoint 'three'; there are: one, two"):
        checkpoints.read("three", folder)
    with pytest.raises(ValueError, match="there are: none"):
        checkpoints.read("one", folder / "empty")


@pytest.mark.parametrize("damage", [lambda b: b[:-3], lambda b: b[:-1] + bytes([b[-1] ^ 1]), lambda b: b""])
def test_weights_that_are_not_those_of_the_card_are_refused_with_the_remedy(folder, damage):
    path = folder / "one.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(
        ValueError, match=r"one.safetensors \(\d+ bytes\) has SHA-256 .* its card says .* damaged .*recipes one`"
    ):
        checkpoints.read("one", folder)


def test_missing_weights_and_broken_cards_are_named_with_the_remedy(folder):
    (folder / "one.safetensors").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"one\.safetensors is missing, its card is there: install .*recipes one`"
    ):
        checkpoints.read("one", folder)
    card = folder / "two.json"
    whole = card.read_text()
    card.write_text(whole[:-20])
    with pytest.raises(ValueError, match=r"two.json is not JSON .*recipes two`"):
        checkpoints.read("two", folder)
    card.write_text(
        json.dumps({key: value for key, value in json.loads(whole).items() if key not in ("config", "sha256")})
    )
    with pytest.raises(ValueError, match=r"two\.json does not say config, sha256: install"):
        checkpoints.read("two", folder)
    card.write_text("[]")
    with pytest.raises(ValueError, match=r"two\.json does not say name"):
        checkpoints.read("two", folder)


def test_what_fp16_cannot_hold_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match="bad cannot be stored in fp16"):
        checkpoints.write("x", {"good": torch.ones(2), "bad": torch.tensor([7e4])}, CARD, tmp_path)
    assert not list(tmp_path.iterdir())

"""Pictures beside text: patches lose nothing, pairs attract, captions read the picture and never the future."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from byhand.multimodal import Captioner, CaptionerConfig, caption_loss, info_nce, patchify, unpatchify


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(("height", "width", "size"), [(6, 9, 3), (4, 4, 4), (5, 7, 1), (8, 2, 2)])
def test_patches_put_together_are_the_picture_and_equal_torchs_unfolding(height, width, size):
    pictures = drawn(3, width, height).transpose(1, 2)  # not contiguous
    patches = patchify(pictures, size)
    assert torch.equal(unpatchify(patches, height, width), pictures)
    unfolded = F.unfold(pictures.unsqueeze(1), size, stride=size).transpose(1, 2)
    assert torch.equal(patches, unfolded)


def test_the_contrastive_loss_is_the_mean_of_both_directions_of_cosines():
    first, second = drawn(5, 7), 3 * drawn(5, 7, seed=1) + drawn(5, 7)
    cosines = F.cosine_similarity(first.unsqueeze(1), second.unsqueeze(0), dim=-1) / 0.2
    own = torch.arange(5)
    expected = (F.cross_entropy(cosines, own) + F.cross_entropy(cosines.T, own)) / 2
    assert info_nce(first, second, 0.2).item() == pytest.approx(expected.item(), abs=1e-12)
    assert info_nce(second, first, 0.2).item() == pytest.approx(expected.item(), abs=1e-12)
    assert info_nce(9 * first, second, 0.2).item() == pytest.approx(expected.item(), abs=1e-9)
    assert F.cross_entropy(cosines, own) != pytest.approx(expected.item(), abs=1e-3), "a direction alone differs"


def test_a_view_of_zeros_gives_a_finite_loss_and_gradient():
    first = torch.zeros(3, 4, requires_grad=True)
    loss = info_nce(first, torch.eye(3, 4), 0.5)
    loss.backward()
    assert loss.isfinite()
    assert first.grad.isfinite().all()


@pytest.fixture
def model():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return Captioner(CaptionerConfig(vocab_size=11, n_patches=6, patch_values=4, max_text=5, d_model=12)).double()


def test_text_reads_the_picture_and_its_own_past_and_the_picture_reads_no_text(model):
    patches, ids = drawn(2, 6, 4), torch.tensor([[1, 4, 2, 9], [3, 3, 0, 7]])
    logits = model(patches, ids)
    changed = ids.clone()
    changed[:, 2] = 5
    after = model(patches, changed)
    assert torch.equal(after[:, : 6 + 2], logits[:, : 6 + 2])
    assert not torch.allclose(after[:, 6 + 2], logits[:, 6 + 2])
    other = patches.clone()
    other[:, -1] += 1
    assert not torch.allclose(model(other, ids)[:, 6], logits[:, 6]), "the first token sees the last patch"
    assert not torch.allclose(model(other, ids)[:, 0], logits[:, 0]), "patches see each other"


def test_the_loss_scores_text_alone_and_passes_over_padding(model):
    patches, ids = drawn(2, 6, 4), torch.tensor([[1, 4, 2, 9], [3, 3, -100, -100]])
    logits = model(patches, ids.clamp(min=0))
    wanted = torch.stack([logits[0, 6:9], logits[1, 6:9]]).flatten(0, 1)
    expected = F.cross_entropy(wanted, ids[:, 1:].flatten(), ignore_index=-100)
    assert caption_loss(model, patches, ids).item() == pytest.approx(expected.item(), abs=1e-12)
    padded = ids.masked_fill(ids == -100, 0)
    assert caption_loss(model, patches, padded, pad=0).item() == pytest.approx(expected.item(), abs=1e-12)


def test_a_few_steps_teach_which_picture_has_which_name(model):
    model = model.float()
    patches = drawn(4, 6, 4).float()
    ids = torch.tensor([[0, 1, 5], [0, 2, 6], [0, 3, 7], [0, 4, 8]])
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(60):
        optimizer.zero_grad()
        caption_loss(model, patches, ids).backward()
        optimizer.step()
    assert torch.equal(model(patches, ids[:, :1])[:, -1].argmax(-1), ids[:, 1])
    swapped = model(patches.flip(0), ids[:, :1])[:, -1].argmax(-1)
    assert torch.equal(swapped, ids[:, 1].flip(0))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda model: patchify(torch.zeros(1, 5, 6), 3), "5 x 6 cannot be cut into patches of 3 x 3"),
        (lambda model: patchify(torch.zeros(1, 5, 6), 0), "cannot be cut"),
        (lambda model: unpatchify(torch.zeros(1, 4, 9), 6, 7), "make no picture of 6 x 7"),
        (lambda model: unpatchify(torch.zeros(1, 4, 8), 4, 8), "make no picture"),
        (lambda model: info_nce(torch.eye(3), torch.eye(3), 0.0), "temperature must be above 0"),
        (lambda model: info_nce(torch.eye(3), torch.eye(2, 3)), "pair up row by row|batch d_model"),
        (lambda model: model(drawn(1, 5, 4), torch.zeros(1, 2, dtype=torch.long)), "reads 6 patches of 4 values"),
        (lambda model: model(drawn(1, 6, 4), torch.zeros(1, 6, dtype=torch.long)), "6 tokens, the model takes 5"),
        (lambda model: caption_loss(model, drawn(1, 6, 4), torch.zeros(1, 1, dtype=torch.long)), "one to predict"),
        (lambda model: CaptionerConfig(10, 4, 4, 0), "max_text must be at least 1"),
        (lambda model: CaptionerConfig(10, 4, 4, 5, d_model=10), "does not divide"),
    ],
)
def test_bad_input_is_named(model, call, words):
    with pytest.raises((ValueError, TypeError), match=words):
        call(model)

"""Text about a picture: one Transformer that reads patches and writes words.

Holds a small model whose sequence is the patches and then the text, and the loss of its captions. Leaves out
pre-trained picture encoders. Built in chapter 16.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from byhand.blocks import Block, LayerNorm
from byhand.objectives import prefix_lm_mask
from byhand.probability import cross_entropy


@dataclass(frozen=True)
class CaptionerConfig:
    """What a captioner is made of.

    Attributes:
        vocab_size: number of tokens.
        n_patches: patches of a picture.
        patch_values: numbers in a patch.
        max_text: the longest text, in tokens.
        d_model: width.
        n_layers: number of blocks.
        n_heads: heads of a block.
    """

    vocab_size: int
    n_patches: int
    patch_values: int
    max_text: int
    d_model: int = 48
    n_layers: int = 2
    n_heads: int = 4

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if self.d_model % self.n_heads:
            raise ValueError(f"d_model {self.d_model} does not divide into n_heads {self.n_heads}; choose a divisor")


class Captioner(nn.Module):
    """A Transformer over the patches of a picture and the text about it.

    Patches see each other; the text sees all patches and its own past, so it is a prefix language model.

    >>> model = Captioner(CaptionerConfig(vocab_size=10, n_patches=4, patch_values=9, max_text=5))
    >>> model(torch.zeros(2, 4, 9), torch.zeros(2, 3, dtype=torch.long)).shape
    torch.Size([2, 7, 10])
    """

    def __init__(self, config: CaptionerConfig) -> None:
        super().__init__()
        self.config = config
        self.patch_projection = nn.Linear(config.patch_values, config.d_model)
        self.token_embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.position_embedding = nn.Embedding(config.n_patches + config.max_text, config.d_model)
        self.blocks = nn.ModuleList(
            Block(config.d_model, config.n_heads, 4 * config.d_model) for _ in range(config.n_layers)
        )
        self.final_norm = LayerNorm(config.d_model)
        self.head = nn.Linear(config.d_model, config.vocab_size)

    def forward(
        self, patches: Float[Tensor, "batch patches values"], ids: Int[Tensor, "batch text"]
    ) -> Float[Tensor, "batch places vocab"]:
        """The logits of the next token at every place: first the patches', then the text's.

        Raises:
            ValueError: when the patches are not as configured, or the text is too long.
        """
        config = self.config
        if patches.shape[1:] != (config.n_patches, config.patch_values):
            raise ValueError(
                f"the model reads {config.n_patches} patches of {config.patch_values} values, "
                f"got {tuple(patches.shape[1:])}: cut the pictures as its configuration says"
            )
        if ids.shape[1] > config.max_text:
            raise ValueError(f"a text has {ids.shape[1]} tokens, the model takes {config.max_text}: cut it")
        x = torch.cat([self.patch_projection(patches), self.token_embedding(ids)], dim=1)
        x = x + self.position_embedding.weight[: x.shape[1]]
        mask = prefix_lm_mask(x.shape[1], config.n_patches).to(x.device)
        for block in self.blocks:
            x = block(x, mask=mask)
        logits: Tensor = self.head(self.final_norm(x))
        return logits


def caption_loss(
    model: Callable[[Tensor, Tensor], Tensor],
    patches: Float[Tensor, "batch patches values"],
    ids: Int[Tensor, "batch text"],
    pad: int = -100,
) -> Float[Tensor, ""]:
    """The mean cross-entropy of the text given the picture, in nats a token; patches are read, never predicted.

    Each token but the first is predicted from the patches and the tokens before it, so a text starts with a token for
    its beginning.

    Args:
        model: gives the logits of all places, the patches' first, as `Captioner` does.
        patches: of the pictures.
        ids: the texts.
        pad: id that fills a text up and is not predicted.

    Raises:
        ValueError: when a text has fewer than two tokens.
    """
    if ids.shape[1] < 2:
        raise ValueError(f"a text needs its first token and one to predict, got {ids.shape[1]} tokens")
    # A padding id below 0 has no embedding; what it would be read as is never looked at, since text is causal.
    logits = model(patches, ids[:, :-1].clamp(min=0))[:, patches.shape[1] :]
    return cross_entropy(logits, ids[:, 1:], ignore_index=pad)

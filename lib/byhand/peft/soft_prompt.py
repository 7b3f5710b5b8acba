"""Prompt tuning: learned vectors stand before the text, where a written prompt would.

Lester et al. 2021. Built in chapter 7.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from byhand.gpt import GPT


class SoftPrompt(nn.Module):
    """A GPT that reads `n_prompt` learned vectors before every text; the GPT itself is frozen.

    They take the first positions, as words would, and start as embeddings of tokens drawn from the vocabulary (Lester
    et al. 2021, section 3.2).

    Args:
        gpt: the pretrained model; it is kept, not copied.
        n_prompt: how many vectors.
        rng: draws the tokens to start from; None takes torch's global generator.

    Raises:
        ValueError: when n_prompt is negative or leaves no room for a text.
    """

    def __init__(self, gpt: GPT, n_prompt: int, rng: torch.Generator | None = None) -> None:
        super().__init__()
        if not 0 <= n_prompt < gpt.config.max_seq:
            raise ValueError(f"n_prompt must be at least 0 and below the model's {gpt.config.max_seq}, got {n_prompt}")
        self.gpt = gpt.requires_grad_(False)
        drawn = torch.randint(gpt.config.vocab_size, (n_prompt,), generator=rng)
        self.prompt = nn.Parameter(gpt.token_embedding.weight[drawn].detach().clone())

    def forward(
        self, input_ids: Int[Tensor, "batch seq"], attention_mask: Bool[Tensor, "batch seq"] | None = None
    ) -> Float[Tensor, "batch seq vocab"]:
        """The logits of the next token at every place of the text, the prompt's own places left out.

        Raises:
            ValueError: when an id is outside the vocabulary, or prompt and text together are too long.
        """
        n_prompt = len(self.prompt)
        vectors = torch.cat([self.prompt.expand(len(input_ids), -1, -1), self.gpt.embed(input_ids)], dim=1)
        if attention_mask is not None:
            attention_mask = nn.functional.pad(attention_mask, (n_prompt, 0), value=True)
        logits: Tensor = self.gpt.head(self.gpt.transform(vectors, attention_mask)[:, n_prompt:])
        return logits

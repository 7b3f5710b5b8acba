"""BERT with the heads of its pre-training: masked tokens, and whether the second sentence follows the first.

Holds the projection of chosen places only, the model, its loss, and loading from the hub's checkpoints. Leaves out
the body (`byhand.encoder`), the making of batches (`byhand.objectives`), heads for tasks and sentence embeddings
(chapter 6). Built in chapter 5.
"""

from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from byhand import hub
from byhand.blocks import LayerNorm
from byhand.encoder import Encoder, EncoderConfig
from byhand.packing import IGNORED
from byhand.probability import cross_entropy


def mlm_logits(
    hidden: Float[Tensor, "batch seq d_model"],
    positions: Int[Tensor, "batch masked"],
    weight: Float[Tensor, "vocab d_model"],
    bias: Float[Tensor, " vocab"],
) -> Float[Tensor, "batch masked vocab"]:
    """The logits over the vocabulary at the given places of each sequence, and nowhere else.

    With 15 % of the places masked this is a seventh of the largest product of the model. Rows with fewer places
    than others are filled with any place, 0 say, whose label is then -100. Devlin et al. 2019, section 3.1.

    Args:
        hidden: a vector for each place.
        positions: places in each sequence, in any order, from 0 to seq - 1; they may repeat.
        weight: one row for each token of the vocabulary, as an embedding has it.
        bias: one number for each token.

    Raises:
        ValueError: when a place is outside the sequence.

    >>> hidden = torch.tensor([[[1.0, 0.0], [0.0, 2.0], [3.0, 3.0]]])
    >>> mlm_logits(hidden, torch.tensor([[1]]), torch.eye(2), torch.tensor([0.5, 0.0])).tolist()
    [[[0.5, 2.0]]]
    """
    return F.linear(_take(hidden, positions), weight, bias)


class MLMHead(nn.Module):
    """From states to logits: a layer, GELU, a norm, and the product with the token embedding. Devlin et al. 2019.

    >>> MLMHead(EncoderConfig.tiny())(torch.zeros(1, 3, 64), torch.zeros(1024, 64)).shape
    torch.Size([1, 3, 1024])
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.transform = nn.Linear(config.d_model, config.d_model)
        self.norm = LayerNorm(config.d_model, config.norm_eps)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))

    def forward(
        self, states: Float[Tensor, "*batch d_model"], embedding: Float[Tensor, "vocab d_model"]
    ) -> Float[Tensor, "*batch vocab"]:
        """The logits over the vocabulary; `embedding` has one row for each token."""
        return F.linear(self.norm(F.gelu(self.transform(states))), embedding, self.bias)


class Bert(nn.Module):
    """BERT as it is pre-trained. Devlin et al. 2019, section 3.1.

    Args:
        config: the sizes; without a pooler there is no next-sentence head either (RoBERTa's choice).
        rng: draws the initial weights; None takes torch's global generator, as torch's own modules do.

    >>> model = Bert(EncoderConfig.tiny(), torch.Generator().manual_seed(0))
    >>> mlm, nsp = model(torch.tensor([[3, 1, 4]]))
    >>> mlm.shape, nsp.shape
    (torch.Size([1, 3, 1024]), torch.Size([1, 2]))
    """

    def __init__(self, config: EncoderConfig, rng: torch.Generator | None = None) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config, rng)
        with torch.random.fork_rng(devices=[]):  # torch draws weights that are drawn again below
            self.mlm_head = MLMHead(config)
            self.nsp_head = nn.Linear(config.d_model, 2) if config.pooler else None
        with torch.no_grad():
            for layer in (self.mlm_head.transform, self.nsp_head):
                if layer is not None:
                    layer.weight.normal_(0.0, 0.02, generator=rng)
                    layer.bias.zero_()

    @classmethod
    def from_pretrained(cls, name_or_folder: str | Path, dtype: torch.dtype = torch.float32) -> "Bert":
        """A published BERT with the heads it was pre-trained with, in eval mode.

        A checkpoint without a next-sentence head gives a model without one.

        Args:
            name_or_folder: a folder with config.json and safetensors, or a name on the hub.
            dtype: of the weights.

        Raises:
            FileNotFoundError: when there is no such folder and the hub does not give it, or a file is missing.
            ValueError: when a file is damaged, describes another model, or lacks weights.
        """
        folder = hub.find_folder(name_or_folder)
        weights = hub.read_weights(folder)
        pairs = "cls.seq_relationship.weight" in weights
        config = EncoderConfig.from_hub(hub.read_config(folder), pooler=pairs)
        # Drawn in vain, but sooner than building on the meta device, whose first use imports much of torch.
        model = cls(config, torch.Generator()).to(dtype)
        hub.load_renamed(model, weights, hub.BERT_WITH_HEADS, leave_out=() if pairs else ("encoder.pooler",))
        return model.eval()

    def forward(
        self,
        input_ids: Int[Tensor, "batch seq"],
        attention_mask: Bool[Tensor, "batch seq"] | None = None,
        segment_ids: Int[Tensor, "batch seq"] | None = None,
        positions: Int[Tensor, "batch masked"] | None = None,
    ) -> tuple[Float[Tensor, "batch places vocab"], Float[Tensor, "batch 2"] | None]:
        """The logits of the tokens, and of "the second sentence follows" and "it does not", in this order.

        Args:
            input_ids: tokens.
            attention_mask: True where a token may be attended to; all unless given.
            segment_ids: which segment a token belongs to; the first unless given.
            positions: the places whose tokens are asked for, as `mlm_logits` takes them; all unless given.

        Raises:
            ValueError: when an id, a segment or a place is out of range, or a sequence empty or too long.
        """
        hidden = self.encoder(input_ids, attention_mask, segment_ids)
        states = hidden if positions is None else _take(hidden, positions)
        nsp = None if self.nsp_head is None else self.nsp_head(self.encoder.pool(hidden))
        return self.mlm_head(states, self.encoder.token_embedding.weight), nsp

    def loss(
        self,
        input_ids: Int[Tensor, "batch seq"],
        labels: Int[Tensor, "batch seq"],
        attention_mask: Bool[Tensor, "batch seq"] | None = None,
        segment_ids: Int[Tensor, "batch seq"] | None = None,
        is_next: Bool[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, ""]:
        """The mean of -log P(label) over the labels that are not -100, in nats; with `is_next` plus that of the pairs.

        The arguments are a batch of `mlm_batch` or `nsp_batch`. Where no label is left, masking contributes 0.

        Raises:
            ValueError: as `forward` does, or when `is_next` is given and there is no next-sentence head.
        """
        hidden = self.encoder(input_ids, attention_mask, segment_ids)
        chosen = labels != IGNORED
        logits = self.mlm_head(hidden[chosen], self.encoder.token_embedding.weight)  # (chosen, vocab)
        loss = cross_entropy(logits, labels[chosen]) if len(logits) else logits.sum()
        if is_next is not None:
            if self.nsp_head is None:
                raise ValueError("there is no next-sentence head: leave out is_next, or build it with pooler=True")
            loss = loss + cross_entropy(self.nsp_head(self.encoder.pool(hidden)), (~is_next).long())
        return loss


def _take(hidden: Tensor, positions: Tensor) -> Tensor:
    """The vectors at `positions`, row by row: (batch, masked, d_model)."""
    seq = hidden.shape[1]
    if positions.device.type == "cpu" and ((positions < 0) | (positions >= seq)).any():
        raise ValueError(f"positions must be from 0 to {seq - 1}, got {int(positions.min())} to {int(positions.max())}")
    return hidden.gather(1, positions.long().unsqueeze(-1).expand(-1, -1, hidden.shape[-1]))

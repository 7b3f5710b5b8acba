"""A small new layer on a pretrained body: what the task needs and pre-training did not have.

Every head has `loss(input_ids, labels, ...)`, a mean over the labels that are not -100, so that
`byhand.objectives.summed_loss` trains it in `byhand.training.train`. Leaves out training few parameters of the body
(chapter 7). Built in chapter 6.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from byhand.dropout import Dropout
from byhand.encoder import Encoder
from byhand.finetuning.pooling import last_token, mean_pool
from byhand.gpt import GPT

POOLINGS = ("mean", "first", "pooler")


def _new_layer(d_model: int, n_outputs: int) -> nn.Linear:
    """A linear layer that starts near zero, as BERT's (Devlin et al. 2019, section 4)."""
    if n_outputs < 1:
        raise ValueError(f"a head needs at least 1 output, got {n_outputs}")
    layer = nn.Linear(d_model, n_outputs)
    nn.init.normal_(layer.weight, std=0.02)
    nn.init.zeros_(layer.bias)
    return layer


class Classifier(nn.Module):
    """One class for a sequence: what the classifiers of texts share."""

    def loss(
        self,
        input_ids: Int[Tensor, "batch seq"],
        labels: Int[Tensor, " batch"],
        *rest: Tensor | None,
        **named: Tensor | None,
    ) -> Float[Tensor, ""]:
        """The mean cross-entropy of the classes, in nats.

        Args:
            input_ids: the sequences.
            labels: their classes.
            rest: what else the classifier reads: the attention mask, the segments.
            named: the same by name.
        """
        return F.cross_entropy(self(input_ids, *rest, **named), labels)


class TextClassifier(Classifier):
    """A class for a text, from an encoder's pooled vector. Devlin et al. 2019, figure 4 (a, b).

    Args:
        encoder: the pretrained body.
        n_classes: number of classes.
        pooling: `mean` of the tokens, the `first` token, or the first through BERT's `pooler`.

    Raises:
        ValueError: when there is no such pooling, or the encoder has no pooler.
    """

    def __init__(self, encoder: Encoder, n_classes: int, pooling: str = "mean") -> None:
        super().__init__()
        if pooling not in POOLINGS:
            raise ValueError(f"pooling is {pooling!r}; choose one of {', '.join(POOLINGS)}")
        if pooling == "pooler" and encoder.pooler is None:
            raise ValueError("this encoder has no pooler: take pooling='mean' or 'first'")
        self.encoder = encoder
        self.pooling = pooling
        self.dropout = Dropout(encoder.config.dropout)
        self.head = _new_layer(encoder.config.d_model, n_classes)

    def forward(
        self,
        input_ids: Int[Tensor, "batch seq"],
        attention_mask: Bool[Tensor, "batch seq"] | None = None,
        segment_ids: Int[Tensor, "batch seq"] | None = None,
    ) -> Float[Tensor, "batch n_classes"]:
        """The logits of the classes."""
        hidden = self.encoder(input_ids, attention_mask, segment_ids)
        if self.pooling == "mean":
            mask = torch.ones_like(input_ids, dtype=torch.bool) if attention_mask is None else attention_mask
            pooled = mean_pool(hidden, mask)
        else:
            pooled = self.encoder.pool(hidden) if self.pooling == "pooler" else hidden[:, 0]
        logits: Tensor = self.head(self.dropout(pooled))
        return logits


class TokenClassifier(nn.Module):
    """A label for every token, as in named-entity recognition. Devlin et al. 2019, figure 4 (d).

    Args:
        encoder: the pretrained body.
        n_labels: number of labels.
    """

    def __init__(self, encoder: Encoder, n_labels: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = Dropout(encoder.config.dropout)
        self.head = _new_layer(encoder.config.d_model, n_labels)

    def forward(
        self, input_ids: Int[Tensor, "batch seq"], attention_mask: Bool[Tensor, "batch seq"] | None = None
    ) -> Float[Tensor, "batch seq n_labels"]:
        """The logits of the labels of every token."""
        logits: Tensor = self.head(self.dropout(self.encoder(input_ids, attention_mask)))
        return logits

    def loss(
        self,
        input_ids: Int[Tensor, "batch seq"],
        labels: Int[Tensor, "batch seq"],
        attention_mask: Bool[Tensor, "batch seq"] | None = None,
    ) -> Float[Tensor, ""]:
        """The mean cross-entropy of the labels, in nats; -100, which `align_labels` puts, is not scored."""
        return F.cross_entropy(self(input_ids, attention_mask).flatten(0, 1), labels.flatten(), ignore_index=-100)


class SpanPredictor(nn.Module):
    """Where an answer starts and ends in a passage. Devlin et al. 2019, section 4.2.

    `byhand.finetuning.best_span` reads the answer off the logits.

    Args:
        encoder: the pretrained body.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = _new_layer(encoder.config.d_model, 2)

    def forward(
        self,
        input_ids: Int[Tensor, "batch seq"],
        attention_mask: Bool[Tensor, "batch seq"] | None = None,
        segment_ids: Int[Tensor, "batch seq"] | None = None,
    ) -> tuple[Float[Tensor, "batch seq"], Float[Tensor, "batch seq"]]:
        """The logits of the first and of the last token of the answer; -inf where there is only padding."""
        logits = self.head(self.encoder(input_ids, attention_mask, segment_ids))  # (batch, seq, 2)
        if attention_mask is not None:
            logits = logits.masked_fill(~attention_mask.unsqueeze(-1), -torch.inf)
        return logits[..., 0], logits[..., 1]

    def loss(
        self,
        input_ids: Int[Tensor, "batch seq"],
        labels: Int[Tensor, "batch 2"],
        attention_mask: Bool[Tensor, "batch seq"] | None = None,
        segment_ids: Int[Tensor, "batch seq"] | None = None,
    ) -> Float[Tensor, ""]:
        """The mean cross-entropy of the first and the last place of the answers, in nats."""
        start, end = self(input_ids, attention_mask, segment_ids)
        return (F.cross_entropy(start, labels[:, 0]) + F.cross_entropy(end, labels[:, 1])) / 2


class LastTokenClassifier(Classifier):
    """A class from what a decoder knows at its last token, GPT's [extract]. Radford et al. 2018, section 3.2.

    Args:
        gpt: the pretrained body; its own head is not used.
        n_classes: number of classes.
    """

    def __init__(self, gpt: GPT, n_classes: int) -> None:
        super().__init__()
        self.gpt = gpt
        self.head = _new_layer(gpt.config.d_model, n_classes)

    def forward(
        self, input_ids: Int[Tensor, "batch seq"], attention_mask: Bool[Tensor, "batch seq"] | None = None
    ) -> Float[Tensor, "batch n_classes"]:
        """The logits of the classes; padding may stand on either side."""
        mask = torch.ones_like(input_ids, dtype=torch.bool) if attention_mask is None else attention_mask
        logits: Tensor = self.head(last_token(self.gpt.hidden(input_ids, attention_mask), mask))
        return logits


class NextWordClassifier(Classifier):
    """A class named by the word that comes next: the pretrained head is kept, and nothing new is learned.

    Radford et al. 2019, section 2: a task told in words. The classes' words compete only with each other.

    Args:
        gpt: the pretrained model with its head.
        words: the token id of each class' word.

    Raises:
        ValueError: when a word stands for two classes or is outside the vocabulary.
    """

    words: Tensor

    def __init__(self, gpt: GPT, words: Sequence[int]) -> None:
        super().__init__()
        if len(set(words)) < max(2, len(words)):
            raise ValueError(f"two classes or more need a word each, got {list(words)}")
        if min(words) < 0 or max(words) >= gpt.config.vocab_size:
            raise ValueError(f"the words {list(words)} are not all in the vocabulary of {gpt.config.vocab_size}")
        self.gpt = gpt
        self.register_buffer("words", torch.tensor(list(words)))

    def forward(
        self, input_ids: Int[Tensor, "batch seq"], attention_mask: Bool[Tensor, "batch seq"] | None = None
    ) -> Float[Tensor, "batch n_classes"]:
        """The logits of the classes' words after the last token."""
        return self.gpt.next_logits(input_ids, attention_mask)[:, self.words]

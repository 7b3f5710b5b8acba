"""T5's encoder and decoder together. Belongs to `byhand.t5`. Built in chapter 5."""

from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from byhand import hub
from byhand.embedding import check_ids
from byhand.probability import cross_entropy
from byhand.seq2seq import shift_right
from byhand.t5.config import T5Config
from byhand.t5.stack import T5Stack


class T5(nn.Module):
    """An encoder-decoder Transformer with relative positions. Raffel et al. 2020, section 2.1.

    Args:
        config: the sizes.
        rng: draws the initial weights; None takes torch's global generator, as torch's own modules do.

    >>> model = T5(T5Config.tiny(vocab_size=50), torch.Generator().manual_seed(0))
    >>> model(torch.tensor([[3, 1, 4, 1]]), torch.tensor([[0, 7]])).shape
    torch.Size([1, 2, 50])
    """

    def __init__(self, config: T5Config, rng: torch.Generator | None = None) -> None:
        super().__init__()
        self.config = config
        with torch.random.fork_rng(devices=[]):  # these draws are thrown away
            self.token_embedding = nn.Embedding(config.vocab_size, config.d_model)
            self.encoder = T5Stack(config, decoder=False)
            self.decoder = T5Stack(config, decoder=True)
            self.head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        if config.tied:
            self.head.weight = self.token_embedding.weight
        self._initialize(rng)

    @torch.no_grad()
    def _initialize(self, rng: torch.Generator | None) -> None:
        """Normal weights, each matrix's deviation the root of one over its inputs; embeddings 1.

        Queries are smaller by the root of head_dim, which the scores are not divided by.
        """
        for name, parameter in self.named_parameters():
            if name == "token_embedding.weight":
                parameter.normal_(0.0, 1.0, generator=rng)
            elif "relative_bias" in name:
                parameter.normal_(0.0, self.config.d_model**-0.5, generator=rng)
            elif parameter.ndim == 2:
                inputs = parameter.shape[1] * (self.config.head_dim if name.endswith("query.weight") else 1)
                parameter.normal_(0.0, inputs**-0.5, generator=rng)

    @classmethod
    def from_pretrained(cls, name_or_folder: str | Path, dtype: torch.dtype = torch.float32) -> "T5":
        """A published T5, T5 1.1 or FLAN-T5 in eval mode.

        Args:
            name_or_folder: a folder with config.json and safetensors, or a name on the hub.
            dtype: of the weights.

        Raises:
            FileNotFoundError: when there is no such folder and the hub does not give it, or a file is missing.
            ValueError: when a file is damaged, describes another model, or lacks weights.
        """
        folder = hub.find_folder(name_or_folder)
        weights = hub.read_weights(folder)
        embedding, head = weights.get("shared.weight"), weights.get("lm_head.weight")
        tied = embedding is None or head is None or torch.equal(embedding, head)
        # Drawn in vain, but sooner than building on the meta device, whose first use imports much of torch.
        model = cls(T5Config.from_hub(hub.read_config(folder), tied), torch.Generator()).to(dtype)
        hub.load_renamed(model, weights, hub.T5)
        return model.eval()

    def encode(
        self, input_ids: Int[Tensor, "batch src"], attention_mask: Bool[Tensor, "batch src"] | None = None
    ) -> Float[Tensor, "batch src d_model"]:
        """What the decoder will look at.

        Args:
            input_ids: the text to read, at least one token.
            attention_mask: False where it is padding.

        Raises:
            ValueError: when an id is outside the vocabulary or there is none.
        """
        states: Tensor = self.encoder(self._embed(input_ids), attention_mask)
        return states

    def decode(
        self,
        decoder_input_ids: Int[Tensor, "batch tgt"],
        memory: Float[Tensor, "batch src d_model"],
        attention_mask: Bool[Tensor, "batch src"] | None = None,
        decoder_attention_mask: Bool[Tensor, "batch tgt"] | None = None,
    ) -> Float[Tensor, "batch tgt vocab"]:
        """The logits of what follows each place of the text being written.

        Args:
            decoder_input_ids: the text so far, which starts with `pad_id`.
            memory: from `encode`.
            attention_mask: the one given to `encode`.
            decoder_attention_mask: False where the text so far is padding; needed for padding on the left only.

        Raises:
            ValueError: when an id is outside the vocabulary or there is none.
        """
        states = self.decoder(self._embed(decoder_input_ids), decoder_attention_mask, memory, attention_mask)
        if self.config.scaled:
            states = states * self.config.d_model**-0.5
        logits: Tensor = self.head(states)
        return logits

    def forward(
        self,
        input_ids: Int[Tensor, "batch src"],
        decoder_input_ids: Int[Tensor, "batch tgt"],
        attention_mask: Bool[Tensor, "batch src"] | None = None,
        decoder_attention_mask: Bool[Tensor, "batch tgt"] | None = None,
    ) -> Float[Tensor, "batch tgt vocab"]:
        """`encode`, then `decode`."""
        memory = self.encode(input_ids, attention_mask)
        return self.decode(decoder_input_ids, memory, attention_mask, decoder_attention_mask)

    def loss(
        self,
        input_ids: Int[Tensor, "batch src"],
        labels: Int[Tensor, "batch tgt"],
        attention_mask: Bool[Tensor, "batch src"] | None = None,
    ) -> Float[Tensor, ""]:
        """The mean of -log P(label) over the labels that are not -100, in nats, with teacher forcing.

        The arguments are a batch of `span_batch` or `denoising_batch`. Padding of the labels is on the right.
        """
        decoder_input_ids = shift_right(labels, self.config.pad_id, self.config.pad_id)
        return cross_entropy(self(input_ids, decoder_input_ids, attention_mask), labels)

    def _embed(self, ids: Tensor) -> Tensor:
        if not ids.shape[1]:
            raise ValueError("a sequence is empty: the encoder needs a token, the decoder starts with pad_id")
        check_ids(ids, self.config.vocab_size)
        embedded: Tensor = self.token_embedding(ids)
        return embedded

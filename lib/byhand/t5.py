"""T5: an encoder that reads, a decoder that writes and looks at what was read, every task as text to text.

Holds the configuration with its presets, the model (1.0 and 1.1), its initialisation, its loss, and loading from
the hub's checkpoints. Leaves out span corruption (`byhand.objectives`) and choosing tokens (chapter 8). Built in
chapter 5.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from byhand import hub
from byhand.attention import MultiHeadAttention
from byhand.blocks import Activation, FeedForward, RMSNorm
from byhand.embedding import check_ids
from byhand.masks import padding_mask
from byhand.positions import RelativeBias
from byhand.probability import cross_entropy
from byhand.seq2seq import shift_right


@dataclass(frozen=True)
class T5Config:
    """What a T5 is made of. The presets take changes: `T5Config.tiny(dropout=0.1)`.

    Attributes:
        vocab_size: number of tokens, the sentinels among them.
        d_model: width of the residual stream.
        d_ff: width inside the feed-forward part.
        n_layers: blocks of the encoder.
        n_heads: attention heads in a block.
        head_dim: width of a head; n_heads * head_dim need not be d_model.
        n_decoder_layers: blocks of the decoder; 0 stands for n_layers.
        activation: "relu" (1.0) or "gated_gelu" (1.1).
        tied: whether the head uses the token embedding's weights (1.0) or has its own (1.1).
        scaled: whether the head reads states times d_model**-0.5 (1.0).
        n_buckets: ranges of distances that the relative bias tells apart.
        max_distance: from here on all distances share a bucket.
        dropout: share of activations set to zero in training, 0 up to 1.
        norm_eps: what RMSNorm adds to the mean square.
        pad_id: of padding, which is also what the decoder reads first.
        eos_id: of the end.

    Raises:
        ValueError: when a setting is out of its range.
    """

    vocab_size: int
    d_model: int
    d_ff: int
    n_layers: int
    n_heads: int
    head_dim: int
    n_decoder_layers: int = 0
    activation: Activation = "relu"
    tied: bool = True
    scaled: bool = True
    n_buckets: int = 32
    max_distance: int = 128
    dropout: float = 0.0
    norm_eps: float = 1e-6
    pad_id: int = 0
    eos_id: int = 1

    def __post_init__(self) -> None:
        if not self.n_decoder_layers:
            object.__setattr__(self, "n_decoder_layers", self.n_layers)
        for name in ("vocab_size", "d_model", "d_ff", "n_layers", "n_heads", "head_dim", "n_decoder_layers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be 0 or more and below 1, got {self.dropout}: it is the share set to zero")

    @classmethod
    def tiny(cls, **changes: Any) -> "T5Config":
        """Two and two layers of width 64 for 1,024 tokens: 0.3 M parameters."""
        sizes = {"vocab_size": 1024, "d_model": 64, "d_ff": 256, "n_layers": 2, "n_heads": 4, "head_dim": 16}
        return cls(**{**sizes, **changes})

    @classmethod
    def small(cls, **changes: Any) -> "T5Config":
        """The checkpoint t5-small: 60 M parameters (Raffel et al. 2020, section 3.7)."""
        sizes = {"vocab_size": 32128, "d_model": 512, "d_ff": 2048, "n_layers": 6, "n_heads": 8, "head_dim": 64}
        return cls(**{**sizes, **changes})

    @classmethod
    def base(cls, **changes: Any) -> "T5Config":
        """The checkpoint t5-base: 220 M parameters (Raffel et al. 2020, section 3.1.2)."""
        return cls.small(**{"d_model": 768, "d_ff": 3072, "n_layers": 12, "n_heads": 12, **changes})

    @classmethod
    def small_v1_1(cls, **changes: Any) -> "T5Config":
        """The checkpoint t5-v1_1-small: 77 M parameters, gated, with a head of its own (Shazeer 2020)."""
        version = {"activation": "gated_gelu", "tied": False, "scaled": False}
        return cls.small(**{"d_ff": 1024, "n_layers": 8, "n_heads": 6, **version, **changes})

    @classmethod
    def from_hub(cls, config: dict[str, Any], tied: bool = True) -> "T5Config":
        """From the config.json of a T5 checkpoint of the hub; `tied` is told by the weights beside it.

        Raises:
            ValueError: when it describes another model, or one with an activation that T5 1.0 and 1.1 do not have.
        """
        if config.get("model_type") != "t5":
            raise ValueError(f"the config has model_type {config.get('model_type')!r}; this model loads 't5' only")
        activations: dict[str, Activation] = {"relu": "relu", "gated-gelu": "gated_gelu"}
        projection = config.get("feed_forward_proj", "relu")
        if projection not in activations:
            raise ValueError(
                f"the config has feed_forward_proj {projection!r}; this model loads {list(activations)} only"
            )
        return cls(
            vocab_size=config["vocab_size"],
            d_model=config["d_model"],
            d_ff=config["d_ff"],
            n_layers=config["num_layers"],
            n_heads=config["num_heads"],
            head_dim=config["d_kv"],
            n_decoder_layers=config.get("num_decoder_layers") or 0,
            activation=activations[projection],
            tied=tied,
            # what the first configs say by tie_word_embeddings, newer ones by a setting of its own
            scaled=config.get("scale_decoder_outputs", config.get("tie_word_embeddings", True)),
            n_buckets=config.get("relative_attention_num_buckets", 32),
            max_distance=config.get("relative_attention_max_distance", 128),
            dropout=config.get("dropout_rate", 0.0),
            norm_eps=config.get("layer_norm_epsilon", 1e-6),
            pad_id=config.get("pad_token_id", 0),
            eos_id=config.get("eos_token_id", 1),
        )


class T5Block(nn.Module):
    """Self-attention, in a decoder cross-attention, and feed-forward: each on a normalised copy, added back.

    Nothing has a bias, and scores are not divided by the root of head_dim: the initial weights of the queries
    take care of that. Raffel et al. 2020, section 2.1.

    >>> T5Block(T5Config.tiny(), cross=False)(torch.zeros(1, 3, 64)).shape
    torch.Size([1, 3, 64])
    """

    def __init__(self, config: T5Config, cross: bool) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(config.d_model, config.norm_eps)
        self.attention = _unscaled_attention(config)
        self.cross_norm = RMSNorm(config.d_model, config.norm_eps) if cross else None
        self.cross_attention = _unscaled_attention(config) if cross else None
        self.feed_forward_norm = RMSNorm(config.d_model, config.norm_eps)
        self.feed_forward = FeedForward(
            config.d_model, config.d_ff, config.activation, bias=False, dropout=config.dropout
        )
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        x: Float[Tensor, "batch seq d_model"],
        mask: Bool[Tensor, "..."] | None = None,
        bias: Float[Tensor, "1 n_heads seq seq"] | None = None,
        causal: bool = False,
        memory: Float[Tensor, "batch src d_model"] | None = None,
        memory_mask: Bool[Tensor, "..."] | None = None,
    ) -> Float[Tensor, "batch seq d_model"]:
        """Look around, then at `memory` where the block has cross-attention, then think."""
        x = x + self.dropout(self.attention(self.attention_norm(x), mask=mask, bias=bias, causal=causal))
        if self.cross_norm is not None and self.cross_attention is not None:
            x = x + self.dropout(self.cross_attention(self.cross_norm(x), memory=memory, mask=memory_mask))
        out: Tensor = x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))
        return out


class T5Stack(nn.Module):
    """The encoder or the decoder: blocks that share one relative bias, and a norm at the end.

    Positions are nowhere but in that bias, so no length is too long. Cross-attention has none.

    >>> T5Stack(T5Config.tiny(), decoder=False)(torch.zeros(1, 3, 64)).shape
    torch.Size([1, 3, 64])
    """

    def __init__(self, config: T5Config, decoder: bool) -> None:
        super().__init__()
        self.causal = decoder
        self.relative_bias = RelativeBias(
            config.n_buckets, config.max_distance, config.n_heads, bidirectional=not decoder
        )
        n_layers = config.n_decoder_layers if decoder else config.n_layers
        self.blocks = nn.ModuleList(T5Block(config, cross=decoder) for _ in range(n_layers))
        self.final_norm = RMSNorm(config.d_model, config.norm_eps)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        x: Float[Tensor, "batch seq d_model"],
        attention_mask: Bool[Tensor, "batch seq"] | None = None,
        memory: Float[Tensor, "batch src d_model"] | None = None,
        memory_mask: Bool[Tensor, "batch src"] | None = None,
    ) -> Float[Tensor, "batch seq d_model"]:
        """From embeddings to states; `memory` is what a decoder looks at."""
        seq = x.shape[1]
        bias = self.relative_bias(seq, seq)
        mask = None if attention_mask is None else padding_mask(attention_mask)
        memory_mask = None if memory_mask is None else padding_mask(memory_mask)
        x = self.dropout(x)
        for block in self.blocks:
            x = block(x, mask, bias, self.causal, memory, memory_mask)
        states: Tensor = self.dropout(self.final_norm(x))
        return states


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
        self._tie()
        self._initialize(rng)

    def _tie(self) -> None:
        if self.config.tied:
            self.head.weight = self.token_embedding.weight

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
        with torch.device("meta"):  # no weights are drawn that the checkpoint's would replace
            model = cls(T5Config.from_hub(hub.read_config(folder), tied))
        model.to(dtype).to_empty(device="cpu")
        model._tie()
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


def _unscaled_attention(config: T5Config) -> MultiHeadAttention:
    return MultiHeadAttention(
        config.d_model, config.n_heads, config.head_dim, bias=False, scale=1.0, dropout=config.dropout
    )

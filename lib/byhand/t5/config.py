"""What a T5 is made of. Belongs to `byhand.t5`. Built in chapter 5."""

from dataclasses import dataclass
from typing import Any

from byhand.blocks import Activation


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

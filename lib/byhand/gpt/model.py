"""The model: a stack of causal Transformer blocks between an embedding and a head.

Belongs to `byhand.gpt`. Built in chapter 4.
"""

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from byhand import hub
from byhand.blocks import Block, LayerNorm
from byhand.dropout import Dropout
from byhand.embedding import check_ids
from byhand.gpt.config import GPTConfig, read_gpt2_config
from byhand.masks import padding_mask
from byhand.positions import RotaryPositions, sinusoidal

OWN_TYPE = "byhand-gpt"
"""What `GPT.save` writes as the model's type."""


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
            self.embedding_dropout = Dropout(config.dropout)
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
        return self.transform(self.embed(input_ids), attention_mask, positions)

    def embed(self, input_ids: Int[Tensor, "batch seq"]) -> Float[Tensor, "batch seq d_model"]:
        """The tokens' embeddings, without positions.

        Raises:
            ValueError: when an id is outside the vocabulary, or a sequence is empty or too long.
        """
        check_ids(input_ids, self.config.vocab_size, self.config.max_seq)
        vectors: Tensor = self.token_embedding(input_ids)
        return vectors

    def transform(
        self,
        vectors: Float[Tensor, "batch seq d_model"],
        attention_mask: Bool[Tensor, "batch seq"] | Bool[Tensor, "batch seq seq"] | None = None,
        positions: Int[Tensor, " seq"] | Int[Tensor, "batch seq"] | None = None,
    ) -> Float[Tensor, "batch seq d_model"]:
        """What `hidden` makes of embeddings, which need not be those of tokens.

        Raises:
            ValueError: when the sequence is too long, or a position too large.
        """
        config = self.config
        seq = vectors.shape[1]
        if seq > config.max_seq:
            raise ValueError(
                f"a sequence has {seq} vectors, the model takes {config.max_seq}: cut it, or make a larger max_seq"
            )
        mask = None
        if attention_mask is not None:
            mask = padding_mask(attention_mask) if attention_mask.ndim == 2 else attention_mask.unsqueeze(1)
        if positions is None and attention_mask is not None and attention_mask.ndim == 2:
            positions = (attention_mask.long().cumsum(-1) - 1).clamp(min=0)
        elif positions is None:
            positions = torch.arange(seq, device=vectors.device)
        elif int(positions.max()) >= config.max_seq or int(positions.min()) < 0:
            raise ValueError(
                f"positions run from {int(positions.min())} to {int(positions.max())}, "
                f"the model has 0 to {config.max_seq - 1}: cut the sequence, or make the model with a larger max_seq"
            )
        x = vectors
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
        model = cls(read_gpt2_config(hub.read_config(folder)))
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

"""T5's block, and the stack of them that is the encoder or the decoder. Belongs to `byhand.t5`. Built in chapter 5."""

from jaxtyping import Bool, Float
from torch import Tensor, nn

from byhand.attention import MultiHeadAttention
from byhand.blocks import FeedForward, RMSNorm
from byhand.dropout import Dropout
from byhand.masks import padding_mask
from byhand.positions import RelativeBias
from byhand.t5.config import T5Config


class T5Block(nn.Module):
    """Self-attention, in a decoder cross-attention, and feed-forward: each on a normalised copy, added back.

    Nothing has a bias, and scores are not divided by the root of head_dim: the initial weights of the queries
    take care of that. Raffel et al. 2020, section 2.1.

    >>> import torch
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
        self.dropout = Dropout(config.dropout)

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

    >>> import torch
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
        self.dropout = Dropout(config.dropout)

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


def _unscaled_attention(config: T5Config) -> MultiHeadAttention:
    return MultiHeadAttention(
        config.d_model, config.n_heads, config.head_dim, bias=False, scale=1.0, dropout=config.dropout
    )

"""A GPT made ready for decoding: weights in a form that is read fast, keys and values kept.

Holds `prepare`, and the engine with its verbs: prefill a prompt, decode what comes next, verify guesses. Leaves out
choosing tokens (`byhand.inference.generation`) and training; the engine keeps copies, so a model that is trained on
must be prepared again. Built in chapter 13.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from byhand.blocks import Block, LayerNorm
from byhand.embedding import check_ids
from byhand.gpt import GPT
from byhand.inference.cache import KVCache
from byhand.inference.weights import Form, Product, form
from byhand.masks import causal_mask
from byhand.positions import sinusoidal

Norm = tuple[tuple[int], Tensor, Tensor, float]
"""What `torch.layer_norm` takes besides its input."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A block's parts: queries, keys and values in one product, and so a gate with what it multiplies."""

    attention_norm: Norm
    project: Product
    output: Product
    feed_forward_norm: Norm
    up: Product
    activate: Callable[[Tensor], Tensor]
    down: Product


def prepare(gpt: GPT, weights: str | Form = "fp32", batch: int = 1, max_seq: int | None = None) -> "Engine":
    """An engine that gives a model's logits, one token or a few at a time.

    Args:
        gpt: the model; it is left as it is, and its token embedding is shared.
        weights: how matrices are stored. `fp32`: as the model has them; `fp16`: rounded, multiplied in float32 (on a
            GPU all is float16); `int8`: rounded with a scale for each output, inputs rounded, too. Or a function
            from weight and bias to the product with them.
        batch: the most rows at a time.
        max_seq: the most tokens in a row; unless given, as many as the model has positions.

    Raises:
        ValueError: when there is no such form, a size is below 1, or the model has fewer positions than `max_seq`.

    >>> from byhand.gpt import GPTConfig
    >>> gpt = GPT(GPTConfig.tiny(vocab_size=50), torch.Generator().manual_seed(0))
    >>> engine = prepare(gpt)
    >>> logits = engine.prefill(torch.tensor([[3, 1, 4]]))
    >>> logits = engine.decode(torch.tensor([[1]]))
    >>> torch.allclose(logits, gpt(torch.tensor([[3, 1, 4, 1]]))[:, -1], atol=1e-5)
    True
    """
    positions = gpt.config.max_seq
    max_seq = positions if max_seq is None else max_seq
    if max_seq > positions:
        raise ValueError(f"max_seq is {max_seq}, but the model has {positions} positions: ask for at most so many")
    return Engine(gpt, form(weights), batch, max_seq, halved=weights == "fp16")


class Engine:
    """A prepared model and its cache. Made by `prepare`.

    The verbs take ids (batch, seq) and give logits without gradients. What they are given is appended to the rows
    of the cache, so any cutting of a text into calls gives what one call gives.

    Attributes:
        config: of the model.
        cache: keys and values of what was fed so far; `cache.length` counts it.
    """

    def __init__(self, gpt: GPT, store: Form, batch: int, max_seq: int, halved: bool) -> None:
        self.config = config = gpt.config
        embedding = gpt.token_embedding.weight.detach()
        device, self._dtype = embedding.device, embedding.dtype
        if halved and device.type == "cuda":
            self._dtype = torch.float16

        def keep(*layers: nn.Linear) -> Product:
            """Layers that read the same, as one product."""
            weight = torch.cat([layer.weight.detach() for layer in layers]).to(self._dtype)
            biases = [weight.new_zeros(len(layer.weight)) if layer.bias is None else layer.bias for layer in layers]
            return store(weight, torch.cat([bias.detach() for bias in biases]).to(self._dtype))

        def norm(of: LayerNorm) -> Norm:
            gain, bias = (parameter.detach().clone().to(self._dtype) for parameter in (of.gain, of.bias))
            return (config.d_model,), gain, bias, of.eps

        def layer(block: nn.Module) -> Layer:
            assert isinstance(block, Block)
            attention, feed = block.attention, block.feed_forward
            first = (feed.up,) if feed.gate is None else (feed.gate, feed.up)
            return Layer(
                norm(block.attention_norm),
                keep(attention.query, attention.key, attention.value),
                keep(attention.output),
                norm(block.feed_forward_norm),
                keep(*first),
                _ACTIVATIONS[feed.activation],
                keep(feed.down),
            )

        self._embedding = embedding.to(self._dtype)
        self._rotary = gpt.rotary
        if gpt.position_embedding is not None:
            self._positions = gpt.position_embedding.weight.detach().to(self._dtype, copy=True)
        elif gpt.rotary is None:
            self._positions = sinusoidal(config.max_seq, config.d_model).to(self._embedding)
        self._layers = [layer(block) for block in gpt.blocks]
        self._final_norm = norm(gpt.final_norm)
        self._head = keep(gpt.head)
        head_dim = config.d_model // config.n_heads
        self.cache = KVCache(config.n_layers, batch, config.n_heads, max_seq, head_dim, self._dtype, device)
        self._padding: Tensor | None = None  # tokens of padding before each row

    def prefill(
        self, input_ids: Int[Tensor, "batch seq"], attention_mask: Bool[Tensor, "batch seq"] | None = None
    ) -> Float[Tensor, "batch vocab"]:
        """Forget what was fed, feed a prompt, and give the logits of the token after it.

        Args:
            input_ids: prompts; of different lengths, padded on the left.
            attention_mask: False at the padding, as `byhand.decoding.pad_left` gives it.

        Raises:
            ValueError: when the prompt is empty or too long, there are too many rows, an id is outside the
                vocabulary, or a row's padding is not on the left.
        """
        self.reset()
        if attention_mask is not None:
            padding = (~attention_mask).sum(dim=-1)
            left = torch.arange(input_ids.shape[1], device=padding.device) >= padding[:, None]
            if attention_mask.shape != input_ids.shape or not bool((left == attention_mask).all()):
                raise ValueError("padding must be on the left of each row, as pad_left puts it")
            if not bool(attention_mask.any(dim=-1).all()):
                raise ValueError("a row is nothing but padding: begin it with a token for BOS")
            self._padding = padding if bool(padding.any()) else None
        return self.decode(input_ids)

    def reset(self) -> None:
        """Forget what was fed."""
        self.cache.truncate(0)
        self._padding = None

    def decode(self, input_ids: Int[Tensor, "batch seq"]) -> Float[Tensor, "batch vocab"]:
        """Feed one token a row, or more, and give the logits of the token after the last.

        Raises:
            ValueError: when there is no token or no room for it, rows came or went, or an id is outside the
                vocabulary.
        """
        with torch.inference_mode():
            logits = self._logits(self._feed(input_ids)[:, -1])
        return logits.clone()  # a tensor like any other: one of inference mode refuses to be changed

    def verify(self, input_ids: Int[Tensor, "batch seq"], places: int) -> Float[Tensor, "batch places vocab"]:
        """Feed tokens, and give the logits after each of the last `places` of them.

        Raises:
            ValueError: as `decode`, and when fewer tokens are fed than places are asked for.
        """
        if not 1 <= places <= input_ids.shape[1]:
            raise ValueError(f"{input_ids.shape[1]} tokens were fed, so ask for 1 to as many places, not {places}")
        with torch.inference_mode():
            hidden = self._feed(input_ids)[:, -places:]
            logits = self._logits(hidden.flatten(0, 1))
        return logits.clone().view(*hidden.shape[:2], -1)

    def reorder(self, beam_idx: Int[Tensor, " rows"]) -> None:
        """`KVCache.reorder`, with the padding of each row.

        Raises:
            ValueError: as there.
        """
        self.cache.reorder(beam_idx)
        if self._padding is not None:
            self._padding = self._padding[beam_idx]

    def _logits(self, hidden: Float[Tensor, "rows d_model"]) -> Float[Tensor, "rows vocab"]:
        logits = self._head(torch.layer_norm(hidden.contiguous(), *self._final_norm))
        return logits.float() if logits.dtype == torch.float16 else logits

    def _feed(self, input_ids: Int[Tensor, "batch seq"]) -> Float[Tensor, "batch seq d_model"]:
        """The residual stream after the last layer; the cache holds the new tokens."""
        batch, seq = input_ids.shape
        past = self.cache.length
        x, rotate = self._embed(input_ids, past)
        new, keys, values = self.cache.extend(batch, seq)
        n_heads, d_model = self.config.n_heads, self.config.d_model
        mask = self._mask(past, seq, x.device)
        causal = seq > 1 and mask is None
        for layer, place, key, value in zip(self._layers, new, keys, values, strict=True):
            heads = layer.project(torch.layer_norm(x, *layer.attention_norm)).view(batch, seq, 3, n_heads, -1)
            heads = heads.permute(2, 0, 3, 1, 4)  # (3, batch, n_heads, seq, head_dim)
            query = heads[0]
            if rotate is None:
                place.copy_(heads[1:])
            else:
                query = rotate(query)
                place[0] = rotate(heads[1])
                place[1] = heads[2]
            gathered = F.scaled_dot_product_attention(query, key, value, mask, is_causal=causal)
            x += layer.output(gathered.transpose(1, 2).reshape(batch * seq, d_model))
            x += layer.down(layer.activate(layer.up(torch.layer_norm(x, *layer.feed_forward_norm))))
        return x.view(batch, seq, d_model)

    def _embed(
        self, input_ids: Int[Tensor, "batch seq"], past: int
    ) -> tuple[Float[Tensor, "tokens d_model"], Callable[[Tensor], Tensor] | None]:
        batch, seq = input_ids.shape
        if seq == 0:
            raise ValueError("there is no token to feed: begin a prompt with one for BOS")
        try:  # asking for the largest id beforehand would cost more than the look-up itself
            x = torch.embedding(self._embedding, input_ids)
        except IndexError:
            check_ids(input_ids, self.config.vocab_size)
            raise
        if self._rotary is not None:
            return x.view(batch * seq, -1), self._rotary.at(self._places(past, seq))
        if self.config.positions == "sinusoidal":
            x = x * math.sqrt(self.config.d_model)
        # the common case as a view, not a look-up
        here = slice(past, past + seq) if self._padding is None else self._places(past, seq)
        return (x + self._positions[here]).view(batch * seq, -1), None

    def _places(self, past: int, seq: int) -> Int[Tensor, " seq"] | Int[Tensor, "batch seq"]:
        """The positions of new tokens, which count from each row's first real one."""
        places = torch.arange(past, past + seq, device=self._embedding.device)
        return places if self._padding is None else (places - self._padding[:, None]).clamp(min=0)

    def _mask(self, past: int, seq: int, device: torch.device) -> Bool[Tensor, "..."] | None:
        """Which key each new token may look at; None where all before it, and it, are all there is to say."""
        total = past + seq
        if self._padding is None:
            return causal_mask(seq, total, device) if past and seq > 1 else None
        real = torch.arange(total, device=device) >= self._padding[:, None]
        return causal_mask(seq, total, device) & real[:, None, None, :]


_gelu_tanh = partial(F.gelu, approximate="tanh")


def _gated_gelu(x: Tensor) -> Tensor:
    gate, up = x.chunk(2, dim=-1)
    return _gelu_tanh(gate) * up


_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_tanh": _gelu_tanh,
    "relu": F.relu,
    "gated_gelu": _gated_gelu,
}

"""Where the bytes go in training: parameters, gradients, the optimizer's state, activations.

Holds the account on paper and a measurement of what a forward pass keeps. Leaves out the cache of keys and values
(chapter 13), checkpointed activations and what the allocator adds. Built in chapter 12.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from byhand.gpt import GPTConfig

_STATES = {"sgd": 0, "momentum": 1, "adamw": 2}
_WIDTHS = {"fp32": 4, "fp16": 2, "bf16": 2}


def gpt_parameters(config: GPTConfig) -> int:
    """How many parameters a GPT has; a tied head is its embedding and counts once.

    >>> gpt_parameters(GPTConfig.gpt2())
    124439808
    """
    d, ff = config.d_model, config.d_ff
    matrices = 3 if config.activation == "gated_gelu" else 2
    biases = (4 * d + (matrices - 1) * ff + d) if config.bias else 0
    block = 4 * d * d + matrices * d * ff + biases + 4 * d
    tables = config.vocab_size * d * (1 if config.tied else 2)
    tables += config.max_seq * d if config.positions == "learned" else 0
    return tables + config.n_layers * block + 2 * d


def activation_bytes(
    config: GPTConfig, batch: int, seq: int, value_bytes: int = 4, fused_attention: bool = True
) -> int:
    """What the forward pass of a GPT keeps for the backward pass, dropout not counted, ids and the loss not either.

    A block keeps eight vectors of d_model for each token (its input, what both norms gave, query, key, value, what
    attention gathered, the sum between) and two of d_ff, and the statistics of its norms; a fused attention keeps a
    number for each head, a plain one the whole row of weights. The end of the model keeps a vector before and after
    its norm and, for the cross-entropy, the log-probabilities in float32. Korthikanti et al. 2022, section 4, count
    more, since their kernels keep more.

    Raises:
        ValueError: when batch or seq is not positive.

    >>> config = GPTConfig.tiny()
    >>> activation_bytes(config, 8, 128) < activation_bytes(config, 8, 128, fused_attention=False)
    True
    """
    if min(batch, seq) < 1:
        raise ValueError(f"batch and seq must be at least 1, got {batch} and {seq}")
    inner = (4 if config.activation == "gated_gelu" else 2) * config.d_ff
    attended = config.n_heads if fused_attention else config.n_heads * seq
    block = 8 * config.d_model + inner + attended + 4
    end = 2 * config.d_model + 2
    return batch * seq * (value_bytes * (config.n_layers * block + end) + 4 * config.vocab_size)


def training_memory(
    config: GPTConfig, batch: int, seq: int, dtype: str = "fp32", optimizer: str = "adamw"
) -> dict[str, int]:
    """Bytes of a training step, by what they hold, and their sum `total`.

    In fp16 and bf16 weights and gradients take 2 bytes, and a float32 `master` copy of the weights is kept beside
    the optimizer's float32 states: 16 bytes a parameter with AdamW, as in fp32. What gets smaller is the activations.
    Micikevicius et al. 2018, section 3.1; Rajbhandari et al. 2020, section 3.1.

    Raises:
        ValueError: when dtype or optimizer has another name.

    >>> memory = training_memory(GPTConfig.tiny(), 8, 128, "bf16")
    >>> sum(memory[part] for part in ("parameters", "gradients", "optimizer", "master")) // gpt_parameters(
    ...     GPTConfig.tiny()
    ... )
    16
    """
    if dtype not in _WIDTHS:
        raise ValueError(f"dtype is {dtype!r}; choose one of {', '.join(_WIDTHS)}")
    if optimizer not in _STATES:
        raise ValueError(f"optimizer is {optimizer!r}; choose one of {', '.join(_STATES)}")
    parameters = gpt_parameters(config)
    width = _WIDTHS[dtype]
    memory = {
        "parameters": width * parameters,
        "gradients": width * parameters,
        "optimizer": 4 * _STATES[optimizer] * parameters,
        "master": 0 if dtype == "fp32" else 4 * parameters,
        "activations": activation_bytes(config, batch, seq, width),
    }
    return {**memory, "total": sum(memory.values())}


def measure_activations(model: nn.Module, forward: Callable[[], Tensor]) -> int:
    """The bytes that a forward pass keeps for the backward pass, beside the model's own parameters.

    Tensors that share memory count once.

    >>> layer = nn.Linear(3, 4, bias=False)
    >>> measure_activations(layer, lambda: layer(torch.ones(5, 3)).sum())
    60
    """
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        outcome = forward()  # held until the count is done: freed memory would be counted twice
    total = sum(kept.values())
    del outcome
    return total

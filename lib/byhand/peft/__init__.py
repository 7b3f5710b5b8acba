"""Tuning a few new numbers while the pretrained ones stay as they are.

- `byhand.peft.lora`: low-rank updates of matrices; putting them in, merging, taking them out, storing them.
- `byhand.peft.prefixes`: learned keys and values before every layer's own.
- `byhand.peft.soft_prompt`: learned vectors before the embeddings of a text.
- `byhand.peft.adapters`: small bottlenecks after each part of a block.
- `byhand.peft.counts`: how many numbers each of them learns.

Leaves out choosing among them by experiment, and training itself (chapters 4 and 6). Tuning only the biases (BitFit,
Ben Zaken et al. 2022) is `byhand.finetuning.freeze(model, [r"bias$"])`. Built in chapter 7.
"""

from byhand.peft.adapters import Adapted, Adapter, inject_adapters
from byhand.peft.counts import peft_params
from byhand.peft.lora import (
    LoRALinear,
    inject_lora,
    load_lora,
    lora_weights,
    merge_lora,
    multi_lora,
    remove_lora,
    unmerge_lora,
)
from byhand.peft.prefixes import PrefixAttention, inject_prefixes
from byhand.peft.soft_prompt import SoftPrompt

__all__ = [
    "Adapted",
    "Adapter",
    "LoRALinear",
    "PrefixAttention",
    "SoftPrompt",
    "inject_adapters",
    "inject_lora",
    "inject_prefixes",
    "load_lora",
    "lora_weights",
    "merge_lora",
    "multi_lora",
    "peft_params",
    "remove_lora",
    "unmerge_lora",
]

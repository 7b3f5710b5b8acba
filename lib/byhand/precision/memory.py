"""What mixed precision does to the memory of a training step.

Holds the account in three settings, on that of chapter 12. Built in chapter 15.
"""

from byhand.gpt import GPTConfig
from byhand.scaling.memory import activation_bytes, gpt_parameters

SETTINGS = {
    # bytes of: weight, float32 master copy, gradient, AdamW's two moments, activation
    "fp32": (4, 0, 4, 8, 4),
    "fp16+master": (2, 4, 2, 8, 2),
    "bf16": (2, 0, 2, 4, 2),
}


def train_memory_mixed(
    config: GPTConfig, batch: int, seq: int, fused_attention: bool = True
) -> dict[str, dict[str, int]]:
    """Bytes of a training step with AdamW in each setting: `weights`, `master`, `gradients`, `moments`, ...

    ... `activations`, and `total`. In "fp16+master" the model and its gradients are fp16, the master weights and both
    moments float32: 16 bytes a parameter, as in "fp32"; what gets smaller is the activations. "bf16" is everything in
    bfloat16, moments too, which has no need of a scaled loss and loses small updates. Micikevicius et al. 2018,
    section 3; Rajbhandari et al. 2020, section 3.1.

    Args:
        config: of the model.
        batch: sequences.
        seq: tokens of each.
        fused_attention: whether the rows of attention weights are not kept; see `activation_bytes`.

    Raises:
        ValueError: when batch or seq is not positive.

    >>> memory = train_memory_mixed(GPTConfig.tiny(), batch=8, seq=64)
    >>> memory["fp32"]["weights"] == 2 * memory["fp16+master"]["weights"]
    True
    """
    parameters = gpt_parameters(config)
    table = {}
    for setting, (weight, master, gradient, moments, activation) in SETTINGS.items():
        parts = {
            "weights": weight * parameters,
            "master": master * parameters,
            "gradients": gradient * parameters,
            "moments": moments * parameters,
            "activations": activation_bytes(config, batch, seq, activation, fused_attention),
        }
        table[setting] = {**parts, "total": sum(parts.values())}
    return table

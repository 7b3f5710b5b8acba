"""How many numbers each way of tuning learns. Built in chapter 7."""

from collections.abc import Callable


def peft_params(method: str, d_model: int, n_layers: int, **settings: int) -> int:
    """The trainable numbers of a method, for blocks whose matrices are d_model wide.

    - `lora` (rank, matrices=2): two thin matrices for each of the adapted ones, query and value by default.
    - `prefix` (n_prefix): a key and a value in every layer.
    - `prompt` (n_prompt): vectors before the first layer only.
    - `adapters` (bottleneck, per_block=2): two matrices with their biases each.
    - `bitfit` (d_ff=4 * d_model): every bias of the blocks, those of the norms included.

    LoRA on query and value and a prefix of twice its rank learn equally many; which needs fewer depends on both.

    Raises:
        ValueError: when the method is unknown, or a setting is missing, unknown or negative.

    >>> peft_params("lora", d_model=384, n_layers=6, rank=4)
    36864
    >>> peft_params("prefix", d_model=384, n_layers=6, n_prefix=8)
    36864
    """
    if method not in _METHODS:
        raise ValueError(f"no method {method!r}; there are {', '.join(_METHODS)}")
    needed, defaults, count = _METHODS[method]
    if wrong := sorted(set(settings) - {*needed, *defaults}):
        raise ValueError(f"{method} has no setting {', '.join(wrong)}; it takes {', '.join([*needed, *defaults])}")
    if missing := [name for name in needed if name not in settings]:
        raise ValueError(f"{method} needs {', '.join(missing)}")
    given = {**{name: default(d_model) for name, default in defaults.items()}, **settings}
    sizes = {"d_model": d_model, "n_layers": n_layers, **given}
    if negative := [name for name, value in sizes.items() if value < 0]:
        raise ValueError(f"{negative[0]} must not be negative, got {sizes[negative[0]]}")
    return count(d_model, n_layers, *(given[name] for name in [*needed, *defaults]))


_Setting = Callable[[int], int]
_METHODS: dict[str, tuple[list[str], dict[str, _Setting], Callable[..., int]]] = {
    "lora": (["rank"], {"matrices": lambda d: 2}, lambda d, layers, rank, matrices: layers * matrices * 2 * d * rank),
    "prefix": (["n_prefix"], {}, lambda d, layers, n_prefix: layers * 2 * n_prefix * d),
    "prompt": (["n_prompt"], {}, lambda d, layers, n_prompt: n_prompt * d),
    "adapters": (
        ["bottleneck"],
        {"per_block": lambda d: 2},
        lambda d, layers, bottleneck, per_block: layers * per_block * (2 * d * bottleneck + bottleneck + d),
    ),
    # four of the attention, two of the feed-forward, two of the norms
    "bitfit": ([], {"d_ff": lambda d: 4 * d}, lambda d, layers, d_ff: layers * (4 * d + d_ff + d + 2 * d)),
}
"""For each method its required settings, its optional ones with their defaults, and the count."""

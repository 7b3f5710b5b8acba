"""What the cache costs and what it saves: bytes, and multiply-adds.

Leaves out the feed-forward part, whose cost for a token the cache does not change but for reading it once
(chapter 12 counts whole models), and time, which is measured. Built in chapter 13.
"""


def kv_bytes(n_layers: int, n_heads: int, head_dim: int, seq: int, batch: int, bytes_per_number: int) -> int:
    """Bytes of the keys and values of `batch` rows of `seq` tokens.

    Args:
        n_heads: heads with keys and values of their own; fewer than heads with queries where queries share them.
        bytes_per_number: 2 for float16, 4 for float32.

    Raises:
        ValueError: when a number is negative.

    GPT-3 needs 4.7 MB for a token in float16:

    >>> kv_bytes(n_layers=96, n_heads=96, head_dim=128, seq=1, batch=1, bytes_per_number=2)
    4718592
    """
    sizes = (n_layers, n_heads, head_dim, seq, batch, bytes_per_number)
    if min(sizes) < 0:
        raise ValueError(f"sizes must be 0 or more, got {sizes}")
    return 2 * n_layers * n_heads * head_dim * seq * batch * bytes_per_number


def attention_cost(seq: int, d_model: int, n_layers: int, cached: bool, bytes_per_number: int = 4) -> dict[str, int]:
    """What attention costs for one more token, when there are `seq` tokens, that one included.

    `flops`: two for each multiply-add of the four projections and of the two products, queries with keys and
    weights with values. With the cache only the last token is computed, so they grow with `seq`; without it
    all are, and they grow with its square. A layer's products outweigh its projections from seq = 2 * d_model on.
    `bytes`: of keys and values that the cache holds and that the token reads; 0 without one.

    Raises:
        ValueError: when a size is below 1.

    >>> attention_cost(seq=4, d_model=2, n_layers=1, cached=True)
    {'flops': 64, 'bytes': 64}
    >>> attention_cost(seq=4, d_model=2, n_layers=1, cached=False)
    {'flops': 256, 'bytes': 0}
    """
    if min(seq, d_model, n_layers, bytes_per_number) < 1:
        raise ValueError(
            f"sizes must be at least 1, got seq={seq}, d_model={d_model}, n_layers={n_layers}, "
            f"bytes_per_number={bytes_per_number}"
        )
    computed = 1 if cached else seq
    projections, products = 4 * computed * d_model**2, 2 * computed * seq * d_model
    held = kv_bytes(n_layers, 1, d_model, seq, 1, bytes_per_number) if cached else 0
    return {"flops": 2 * n_layers * (projections + products), "bytes": held}

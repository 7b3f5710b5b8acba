"""The cache of keys and values, allocated once and filled from the left.

Holds the tensor, and what decoding asks of it: room for new tokens, what is filled, beams that change places,
guesses that are taken back. Leaves out the arithmetic of its size (`byhand.inference.costs`), eviction, paging and
cheaper number formats. Built in chapter 13.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor


class KVCache:
    """Keys and values of every layer, for up to `batch` rows of up to `capacity` tokens.

    All rows have the same length; rows of a ragged batch are padded on the left. Nothing is ever moved when a
    token comes, only written behind the last one.

    Args:
        n_layers: layers of the model.
        batch: the most rows at a time.
        n_heads: heads of a layer that have keys and values of their own.
        capacity: the most tokens in a row.
        head_dim: width of a head.
        dtype: of the numbers.
        device: where they are.

    Attributes:
        length: how many tokens are filled.
        batch: how many rows are in use.

    Raises:
        ValueError: when a size is below 1.

    >>> cache = KVCache(n_layers=2, batch=3, n_heads=4, capacity=10, head_dim=8)
    >>> _ = cache.extend(batch=3, seq=7)
    >>> cache.keys.shape, cache.nbytes
    (torch.Size([2, 3, 4, 7, 8]), 15360)
    """

    def __init__(
        self,
        n_layers: int,
        batch: int,
        n_heads: int,
        capacity: int,
        head_dim: int,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        sizes = {
            "n_layers": n_layers,
            "batch": batch,
            "n_heads": n_heads,
            "capacity": capacity,
            "head_dim": head_dim,
        }
        for name, size in sizes.items():
            if size < 1:
                raise ValueError(f"{name} must be at least 1, got {size}")
        # Keys and values in one tensor, so that a layer writes both at once; a token's heads side by side in memory,
        # which a layer reads faster than heads far apart.
        storage = torch.zeros(n_layers, 2, batch, capacity, n_heads, head_dim, dtype=dtype, device=device)
        self._storage = storage.transpose(3, 4)
        self.max_batch, self.capacity = batch, capacity
        self.batch = batch
        self.length = 0
        # How many leading tokens each two rows have in common, for certain: beams that part late share most.
        self._shared = torch.zeros(batch, batch, dtype=torch.long)

    @property
    def keys(self) -> Float[Tensor, "n_layers batch n_heads length head_dim"]:
        """The filled keys, a view."""
        return self._filled[:, 0]

    @property
    def values(self) -> Float[Tensor, "n_layers batch n_heads length head_dim"]:
        """The filled values, a view."""
        return self._filled[:, 1]

    @property
    def nbytes(self) -> int:
        """Bytes allocated, filled or not."""
        return self._storage.nbytes

    @property
    def _filled(self) -> Tensor:
        return self._storage.narrow(2, 0, self.batch).narrow(4, 0, self.length)

    def extend(self, batch: int, seq: int) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Make room for `seq` more tokens in each of `batch` rows; for each layer, where to write and what to read.

        Three tuples of views with an entry per layer: the new places of keys and values together (2, batch,
        n_heads, seq, head_dim), and all filled keys and values, the new ones included (batch, n_heads, length,
        head_dim). An empty cache takes any number of rows up to its own, a filled one goes on with those it has.

        Raises:
            ValueError: when the tokens or the rows do not fit.
        """
        if batch != self.batch and self.length:
            raise ValueError(f"the cache holds {self.batch} rows, got {batch}: go on with these, or prefill anew")
        if batch > self.max_batch:
            raise ValueError(
                f"the cache has room for {self.max_batch} rows, got {batch}: prepare it with batch={batch}"
            )
        end = self.length + seq
        if end > self.capacity:
            raise ValueError(
                f"{self.length} tokens and {seq} more do not fit into a cache of {self.capacity}: prepare it with "
                f"max_seq={end} if the model has so many positions, else cut the text and prefill anew"
            )
        new = self._storage.narrow(2, 0, batch).narrow(4, self.length, seq).unbind(0)
        self.batch, self.length = batch, end
        filled = self._filled.flatten(0, 1).unbind(0)  # key, value, key, value: one call for all layers
        return new, filled[0::2], filled[1::2]

    def append(
        self,
        keys: Float[Tensor, "n_layers batch n_heads seq head_dim"],
        values: Float[Tensor, "n_layers batch n_heads seq head_dim"],
    ) -> None:
        """Write the keys and values of new tokens behind those that are there, for all layers at once.

        Raises:
            ValueError: when they do not fit.
        """
        new, _, _ = self.extend(keys.shape[1], keys.shape[3])
        for place, key, value in zip(new, keys, values, strict=True):
            place[0].copy_(key)
            place[1].copy_(value)

    def reorder(self, beam_idx: Sequence[int] | Int[Tensor, " rows"]) -> None:
        """Let row i go on from what row `beam_idx[i]` holds: beams change places, or one row becomes many.

        Only rows that change are copied, and of them only what is filled and not common to both rows already: the
        identity copies nothing, beams of one prompt only what came since they parted.

        Raises:
            ValueError: when a row is named that is not in use, or there are more rows than the cache has room for.
        """
        rows = beam_idx.tolist() if isinstance(beam_idx, Tensor) else list(beam_idx)
        if not rows or not all(0 <= row < self.batch for row in rows):
            raise ValueError(f"beam_idx must name rows 0 to {self.batch - 1}, got {rows}")
        if len(rows) > self.max_batch:
            raise ValueError(
                f"the cache has room for {self.max_batch} rows, got {len(rows)}: prepare it with batch={len(rows)}"
            )
        moved = [row for row, source in enumerate(rows) if row != source]
        if moved and self.length:
            sources = [rows[row] for row in moved]
            common = min(self._shared[moved, sources].tolist())  # up to here the rows hold the same already
            filled = self._storage[:, :, :, :, common : self.length]
            # the right side is a copy before anything is written, so rows may swap
            filled[:, :, moved] = filled[:, :, sources]
            self._follow(torch.tensor(rows))
        self.batch = len(rows)

    def _follow(self, rows: Int[Tensor, " rows"]) -> None:
        """Note what the rows have in common, now that each holds what the named one held."""
        shared = self._shared[rows][:, rows]
        shared[rows[:, None] == rows] = self.length
        self._shared.zero_()
        self._shared[: len(rows), : len(rows)] = shared

    def truncate(self, length: int) -> None:
        """Forget all but the first `length` tokens; nothing is copied, and their places are written again.

        Raises:
            ValueError: when there are fewer tokens than that.
        """
        if not 0 <= length <= self.length:
            raise ValueError(f"cannot keep {length} tokens: the cache holds {self.length}; give 0 to {self.length}")
        self.length = length
        if self.max_batch > 1:
            self._shared.clamp_(max=length)

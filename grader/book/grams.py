"""Looking for thousands of lines at once: one pass over a text finds the places where a secret could begin."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from grader.book.secrets import Secret, squeeze

GRAM = 16
"""Bytes of a secret that are looked up first; every secret is longer."""

CHUNK = 1 << 20
MIX = np.uint64(0x9E3779B97F4A7C15)


class SecretIndex:
    """Secrets, ready to be looked for in any number of texts."""

    def __init__(self, secrets: Sequence[Secret]) -> None:
        self.secrets = tuple(secrets)
        self._by_key: dict[int, list[tuple[bytes, Secret]]] = defaultdict(list)
        for secret in secrets:
            data = secret.text.encode()
            self._by_key[int(_keys(data[:GRAM])[0])].append((data, secret))
        self._sorted = np.array(sorted(self._by_key), dtype=np.uint64)

    def found_in(self, text: str) -> Iterator[tuple[Secret, int]]:
        """Every secret in the text, with the line on which it begins, once each."""
        data = squeeze(text).encode()
        seen: set[bytes] = set()
        for key in self._candidates(data):
            for line, secret in self._by_key[key]:
                if line in seen:
                    continue
                seen.add(line)
                start = data.find(line)
                if start >= 0:
                    yield secret, _line_of(text, len(data[:start].decode(errors="ignore")))

    def _candidates(self, data: bytes) -> list[int]:
        found: set[int] = set()
        if not len(self._sorted):
            return []
        for start in range(0, max(len(data) - GRAM + 1, 0), CHUNK):
            keys = _keys(data[start : start + CHUNK + GRAM - 1])
            places = np.searchsorted(self._sorted, keys)
            hits = self._sorted[np.minimum(places, len(self._sorted) - 1)] == keys
            found.update(int(key) for key in keys[hits])
        return sorted(found)


def _keys(data: bytes) -> Any:
    """One number for each run of GRAM bytes."""
    count = len(data) - 7
    words = np.empty(count, dtype=np.uint64)
    for shift in range(min(8, count)):
        whole = (len(data) - shift) // 8
        words[shift::8] = np.frombuffer(data, dtype="<u8", count=whole, offset=shift)
    return (words[:-8] * MIX) ^ words[8:]


def _line_of(text: str, position: int) -> int:
    """The line of a text on which the character stands that has this position in the squeezed text."""
    kept = 0
    for number, line in enumerate(text.split("\n"), 1):
        kept += len(squeeze(line))
        if kept > position:
            return number
    return text.count("\n") + 1

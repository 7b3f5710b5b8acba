"""Cutting a text into words, and writing bytes as visible characters.

A token never crosses the border between two words, so "dog." and "dog!" share the token "dog". The pattern
and the visible characters are GPT-2's (Radford et al. 2019, section 2.2). Leaves out other patterns. Built
in chapter 2.
"""

import functools
import re
from collections import Counter
from collections.abc import Callable, Sequence

import regex

WORD = regex.compile(r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")

# Visible characters with a space before them, or white space: no word crosses the border of such a piece, so
# pieces can be counted and remembered whole, and the slower pattern is needed once for each different piece.
# White space is Unicode's, as in WORD; `re` would take four control characters more.
_SPACE = "\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_PIECE = re.compile(f" ?[^{_SPACE}]+|[{_SPACE}]+(?![^{_SPACE}])|[{_SPACE}]+")

# The same cut where all characters are ASCII: the standard library's engine takes half the time there. Its white space
# has four control characters more, so the classes are spelled out.
_ASCII_WORD = re.compile(
    r"'(?:[sdmt]|ll|ve|re)| ?[A-Za-z]+| ?[0-9]+| ?[^\t-\r A-Za-z0-9]+|[\t-\r ]+(?![^\t-\r ])|[\t-\r ]+"
).findall


def cut_words(text: str) -> list[str]:
    """The words of a text; joined they are the text again.

    >>> cut_words("It's 1 bee.")
    ['It', "'s", ' 1', ' bee', '.']
    """
    return _ASCII_WORD(text) if text.isascii() else WORD.findall(text)


cut_pieces: Callable[[str], list[str]] = _PIECE.findall
"""The pieces of a text that are cut into words independently; joined they are the text again."""


def count_words(text: str) -> Counter[str]:
    """How often each word occurs.

    >>> count_words("a bee, a bee")
    Counter({' bee': 2, 'a': 1, ',': 1, ' a': 1})
    """
    words: Counter[str] = Counter()
    for piece, count in Counter(cut_pieces(text)).items():
        for word in cut_words(piece):
            words[word] += count
    return words


def split_specials(text: str, specials: Sequence[str]) -> list[str]:
    """Text and special tokens in turn, text first; of two specials that fit at a place the longer is taken.

    >>> split_specials("a<e>b", ["<e>"])
    ['a', '<e>', 'b']
    """
    if not specials:
        return [text]
    return _specials_pattern(tuple(specials)).split(text)


@functools.cache
def _specials_pattern(specials: tuple[str, ...]) -> re.Pattern[str]:
    ordered = sorted(specials, key=len, reverse=True)
    return re.compile("(" + "|".join(map(re.escape, ordered)) + ")")


@functools.cache
def visible_characters() -> dict[int, str]:
    """A visible character for each byte: itself in Latin-1 where it is visible, else one from U+0100 on.

    >>> visible_characters()[ord("A")], visible_characters()[ord(" ")]
    ('A', 'Ġ')
    """
    visible = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    hidden = [byte for byte in range(256) if byte not in visible]
    return {byte: chr(byte) if byte in visible else chr(256 + hidden.index(byte)) for byte in range(256)}


def to_visible(token: bytes) -> str:
    r"""A token as a string without spaces or control characters, for a JSON file.

    >>> to_visible(b" \n")
    'ĠĊ'
    """
    characters = visible_characters()
    return "".join(characters[byte] for byte in token)


def from_visible(token: str) -> bytes:
    r"""The bytes behind a token written by `to_visible`.

    Raises:
        ValueError: when a character stands for no byte.

    >>> from_visible("ĠĊ")
    b' \n'
    """
    byte_of = {character: byte for byte, character in visible_characters().items()}
    strange = [character for character in token if character not in byte_of]
    if strange:
        raise ValueError(f"token {token!r} holds {strange[0]!r}, which stands for no byte: not a byte-level file")
    return bytes(byte_of[character] for character in token)

"""How well a tokenizer fits a text: bytes a token, tokens a word, and what it does not know.

Leaves out the tokenizers (`byhand.bpe`) and what a model makes of them (`byhand.metrics.bits_per_byte`).
Built in chapter 2.
"""

from collections.abc import Callable, Collection, Hashable, Sequence

_SPECIALS = ("[CLS]", "[SEP]", "[PAD]", "<s>", "</s>", "<pad>", "<|endoftext|>")
_UNKNOWN = ("[UNK]", "<unk>")


def compression(
    tokenize: Callable[[str], Sequence[Hashable]],
    text: str,
    specials: Collection[Hashable] = _SPECIALS,
    unknown: Collection[Hashable] = _UNKNOWN,
) -> dict[str, float]:
    """What a tokenizer makes of a text, in figures that compare across tokenizers.

    `bytes_per_token`, UTF-8 bytes of the text for each token; `fertility`, tokens for each word between white space;
    `oov_rate`, the share of tokens that stand for something unknown. Tokens that fall back to bytes count as tokens,
    special ones that stand for no text do not. Rust et al. 2021, section 3.3 (fertility).

    Args:
        tokenize: from a text to its tokens, strings or ids.
        text: with at least one word.
        specials: tokens that stand for no text; give ids where `tokenize` does.
        unknown: tokens that stand for text the vocabulary lacks; likewise.

    Raises:
        ValueError: when the text has no words or no tokens.

    >>> compression(str.split, "à la carte")
    {'bytes_per_token': 3.6666666666666665, 'fertility': 1.0, 'oov_rate': 0.0}
    """
    words = text.split()
    tokens = [token for token in tokenize(text) if token not in specials]
    if not words or not tokens:
        raise ValueError(f"nothing to count: the text has {len(words)} words and {len(tokens)} tokens besides specials")
    return {
        "bytes_per_token": len(text.encode()) / len(tokens),
        "fertility": len(tokens) / len(words),
        "oov_rate": sum(token in unknown for token in tokens) / len(tokens),
    }

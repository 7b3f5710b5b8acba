"""Byte-pair encoding on bytes, as GPT-2 does it: train, encode, decode, save and load.

- `byhand.bpe.words`: cutting a text into the words that no token may cross.
- `byhand.bpe.training`: learning the merges.
- `byhand.bpe.tokenizer`: encoding and decoding with them.
- `byhand.bpe.storage`: the file format of the `tokenizers` library.

Leaves out WordPiece and unigram tokenizers, normalisation, and templates around a text. Built in chapter 2.
"""

from byhand.bpe.tokenizer import BytePairTokenizer
from byhand.bpe.training import train_bpe

__all__ = ["BytePairTokenizer", "train_bpe"]

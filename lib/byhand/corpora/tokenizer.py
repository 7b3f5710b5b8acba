"""A byte-level BPE tokenizer of 1,024 tokens, trained on the training part of Python's documentation.

Holds the loader of the shipped file and the command that makes it again: `python -m
byhand.corpora.tokenizer`. Leaves out how BPE works: chapter 2 builds that in `byhand.bpe`, and its file
format is the same. Belongs to no chapter; encoding is done by the `tokenizers` library.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from byhand.corpora.python_docs import ready_split

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TOKENIZER_FILE = Path(__file__).parents[1] / "data" / "bpe-1024.json"
END_OF_TEXT = "<|endoftext|>"


def load_tokenizer() -> "Tokenizer":
    """The shipped tokenizer: 256 bytes, one special token (id 0, `<|endoftext|>`) and 767 merges.

    >>> tokenizer = load_tokenizer()
    >>> tokenizer.get_vocab_size()
    1024
    >>> tokenizer.decode(tokenizer.encode("a list of strings").ids)
    'a list of strings'
    """
    from tokenizers import Tokenizer

    return Tokenizer.from_str(TOKENIZER_FILE.read_text(encoding="utf-8"))


def train_tokenizer(text: str, vocab_size: int = 1024) -> "Tokenizer":
    """Train a byte-level BPE tokenizer with the `tokenizers` library, set as the shipped one was.

    The text is cut by GPT-2's pattern first (Radford et al. 2019, section 2.2), so no token crosses the
    border between a word and the space that follows it.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([text], trainer)
    return tokenizer


def write_tokenizer(path: Path = TOKENIZER_FILE) -> None:
    """Make the shipped file again and write it to `path`."""
    beside = path.with_name(path.name + ".part")
    beside.write_text(train_tokenizer(ready_split()[0]).to_str(pretty=True) + "\n", encoding="utf-8")
    beside.replace(path)


if __name__ == "__main__":
    write_tokenizer()

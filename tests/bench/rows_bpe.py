"""Byte-pair encoding: training against `tokenizers`, encoding against `tiktoken`."""

import functools
import json
import random
import sysconfig
from pathlib import Path

from measure import Contenders, row

PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"
"""GPT-2's cut into words, written as tiktoken does so that its engine need not backtrack."""
ROUNDS = 5


@functools.cache
def five_megabytes():
    """Documentation, docstrings and sources of the standard library, 5,000,000 characters."""
    from byhand.corpora.docstrings import docstrings
    from byhand.corpora.python_docs import ready_split

    parts = [*ready_split(), *(entry.text for entry in docstrings())]
    size = sum(map(len, parts))
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        if size > 5_000_000:
            break
        parts.append(path.read_text(encoding="utf-8", errors="replace"))
        size += len(parts[-1])
    random.Random(0).shuffle(parts)
    return "\n\n".join(parts)[:5_000_000]


def learn_by_tokenizers(texts, vocab_size):
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return [tuple(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]]


def train(vocab_size):
    from byhand.bpe import train_bpe
    from byhand.bpe.words import to_visible

    text = five_megabytes()
    _, merges = train_bpe(text, vocab_size, ties="tokenizers")
    assert [(to_visible(a), to_visible(b)) for a, b in merges] == learn_by_tokenizers([text], vocab_size)
    documents = [text[start : start + 5_000] for start in range(0, len(text), 5_000)]
    return {
        "byhand": lambda: train_bpe(text, vocab_size),
        "tokenizers, one text": lambda: learn_by_tokenizers([text], vocab_size),
        "tokenizers, 1,000 documents": lambda: learn_by_tokenizers(documents, vocab_size),
    }


@row("BPE training, 2,048 tokens, 5 MB", {"tokenizers, one text": 1.0, "tokenizers, 1,000 documents": 1.0}, ROUNDS)
def training_2k():
    return train(2048)


@row("BPE training, 8,192 tokens, 5 MB", {"tokenizers, one text": 1.0, "tokenizers, 1,000 documents": 1.0}, ROUNDS)
def training_8k():
    return train(8192)


def tokenizers_of_8k():
    """A tokenizer of 8,192 tokens here and in tiktoken, and text that neither was trained on."""
    import tiktoken
    from byhand.bpe import BytePairTokenizer, train_bpe

    half = len(five_megabytes()) // 2
    vocab, merges = train_bpe(five_megabytes()[:half], 8192)
    text = five_megabytes()[half:]
    ranks = {token: number for number, token in vocab.items()}
    peer = tiktoken.Encoding("bench", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={})
    make = functools.partial(BytePairTokenizer, vocab, merges)
    assert make().encode(text) == peer.encode_ordinary(text)
    return make, peer, text


@row("BPE encoding, 8,192 tokens, text seen before", {"tiktoken": 2.0})
def encoding_seen():
    make, peer, text = tokenizers_of_8k()
    warm = make()
    warm.encode(text)
    return {"byhand": lambda: warm.encode(text), "tiktoken": lambda: peer.encode_ordinary(text)}


@row("BPE encoding, 8,192 tokens, fresh text", {"tiktoken": 0.5}, ROUNDS)
def encoding_fresh():
    make, peer, text = tokenizers_of_8k()
    # A new tokenizer for each round, made outside the clock: it has seen nothing.
    unused = [make() for _ in range(ROUNDS + 1)]
    return Contenders(
        {"byhand": lambda: unused.pop().encode(text), "tiktoken": lambda: peer.encode_ordinary(text)},
        {"tiktoken": "pure Python against Rust"},
    )

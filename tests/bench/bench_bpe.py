"""Byte-pair encoding beside its peers: training against `tokenizers`, encoding against `tiktoken`.

CPU seconds of one thread, contenders shuffled inside each round, medians of the rounds, ratios within the run
(above 1: byhand is faster). The outputs must agree first. `make bench` prints the table; nothing here fails
because of a time.
"""

import random
import statistics
import time
from collections.abc import Callable
from typing import Any

import pytest

ROUNDS = 5
PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"
"""GPT-2's cut into words, written as tiktoken does so that its engine need not backtrack."""


def medians(contenders: dict[str, Callable[[], Any]], rounds: int = ROUNDS) -> dict[str, float]:
    """The median CPU seconds of each contender over rounds in shuffled order, one untimed round first."""
    rng = random.Random(0)
    spent: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name in rng.sample(list(contenders), len(contenders)):
            start = time.process_time()
            contenders[name]()
            if number:
                spent[name].append(time.process_time() - start)
    return {name: statistics.median(times) for name, times in spent.items()}


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOKENIZERS_PARALLELISM", "false")
        patch.setenv("RAYON_NUM_THREADS", "1")
        yield


@pytest.fixture(scope="module")
def five_megabytes():
    """Documentation, docstrings and sources of the standard library, 5,000,000 characters."""
    import sysconfig
    from pathlib import Path

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


def learn_by_tokenizers(texts: list[str], vocab_size: int) -> list[tuple[str, str]]:
    import json

    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return [tuple(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]]


@pytest.mark.parametrize("vocab_size", [2048, 8192])
def test_training(five_megabytes, vocab_size):
    from byhand.bpe import train_bpe
    from byhand.bpe.words import to_visible

    text = five_megabytes
    _, merges = train_bpe(text, vocab_size, ties="tokenizers")
    assert [(to_visible(a), to_visible(b)) for a, b in merges] == learn_by_tokenizers([text], vocab_size)
    documents = [text[start : start + 5_000] for start in range(0, len(text), 5_000)]
    spent = medians(
        {
            "byhand": lambda: train_bpe(text, vocab_size),
            "tokenizers, one text": lambda: learn_by_tokenizers([text], vocab_size),
            "tokenizers, 1,000 documents": lambda: learn_by_tokenizers(documents, vocab_size),
        }
    )
    for peer in list(spent)[1:]:
        report(f"BPE training, {vocab_size} tokens, 5 MB", peer, spent["byhand"], spent[peer])


def test_encoding(five_megabytes):
    import tiktoken
    from byhand.bpe import BytePairTokenizer, train_bpe

    half = len(five_megabytes) // 2
    vocab, merges = train_bpe(five_megabytes[:half], 8192)
    text = five_megabytes[half:]
    ranks = {token: number for number, token in vocab.items()}
    peer = tiktoken.Encoding("bench", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={})
    warm = BytePairTokenizer(vocab, merges)
    agree = sum(a == b for a, b in zip(warm.encode(text), peer.encode_ordinary(text), strict=False))
    assert agree == len(warm.encode(text))
    # A new tokenizer for each round, made outside the clock: it has seen nothing.
    unused = [BytePairTokenizer(vocab, merges) for _ in range(ROUNDS + 1)]
    spent = medians(
        {
            "repeated": lambda: warm.encode(text),
            "fresh": lambda: unused.pop().encode(text),
            "tiktoken": lambda: peer.encode_ordinary(text),
        }
    )
    report("BPE encoding, 8,192 tokens, text seen before", "tiktoken", spent["repeated"], spent["tiktoken"])
    report("BPE encoding, 8,192 tokens, fresh text", "tiktoken", spent["fresh"], spent["tiktoken"])
    lines = text.splitlines(keepends=True)
    spent = medians(
        {
            "byhand": lambda: [warm.encode(line) for line in lines],
            "tiktoken": lambda: [peer.encode_ordinary(line) for line in lines],
        }
    )
    report("BPE encoding, 8,192 tokens, seen, line by line", "tiktoken", spent["byhand"], spent["tiktoken"])


def report(job: str, peer: str, mine: float, theirs: float) -> None:
    print(f"\n{job}: {theirs / mine:.2f}x {peer} ({mine:.3f} s against {theirs:.3f} s of CPU)", end="")

"""Byte-pair encoding is that of the `tokenizers` library: the same merges learned, the same ids given."""

import random

import pytest
from byhand.bpe import BytePairTokenizer, train_bpe
from byhand.bpe.words import to_visible
from byhand.corpora import python_docs
from byhand.corpora.python_docs import ready_split
from byhand.corpora.tokenizer import TOKENIZER_FILE, load_tokenizer, train_tokenizer
from tokenizers import Tokenizer

ODD = "a  b\n\n  c \t d\r\n e\u00a0f \u3000g  \n  i'll don't 12 345 é日本 🙂🙂 ..!? \x00 العربية\x7f   "
TEXTS = [ODD, ODD * 2, "", " ", "x" * 500, "\n\n\ndef f(x):\n        return x\n", "self.assertEqual(a, b)"]


def random_texts():
    rng = random.Random(3)
    return ["".join(rng.choices("aab bc \n.é", k=rng.randint(1, 200))) for _ in range(60)]


def merges_of(tokenizer):
    import json

    return [tuple(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]]


@pytest.fixture(scope="module")
def documentation():
    return ready_split()[0][:150_000]


@pytest.mark.parametrize("vocab_size", [300, 1024, 3000])
def test_training_learns_the_merges_that_tokenizers_learns(documentation, vocab_size):
    _, merges = train_bpe(documentation, vocab_size - 1, ties="tokenizers")
    visible = [(to_visible(left), to_visible(right)) for left, right in merges]
    assert visible == merges_of(train_tokenizer(documentation, vocab_size))


@pytest.mark.parametrize("text", [*TEXTS[:2], *random_texts()[:20]])
def test_training_to_exhaustion_on_odd_text_learns_the_same(text):
    _, merges = train_bpe(text, 700, ties="tokenizers")
    assert [(to_visible(a), to_visible(b)) for a, b in merges] == merges_of(train_tokenizer(text, 701))


def test_a_saved_tokenizer_gives_the_same_ids_in_tokenizers(documentation, tmp_path):
    specials = ["<|endoftext|>", "<pad>"]
    mine = BytePairTokenizer(*train_bpe(documentation, 2000, specials), specials)
    mine.save(tmp_path / "tokenizer.json")
    reference = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for text in [*TEXTS, *random_texts(), ready_split()[1], "a<pad><|endoftext|> b <pad>"]:
        ids = mine.encode(text)
        assert ids == reference.encode(text).ids
        assert mine.decode(ids) == reference.decode(ids, skip_special_tokens=False) == text


def test_the_shipped_tokenizer_gives_the_same_ids_here():
    mine, reference = BytePairTokenizer.load(TOKENIZER_FILE), load_tokenizer()
    assert len(mine.vocab) == reference.get_vocab_size() == 1024
    for text in [*TEXTS, *random_texts(), ready_split()[1], "a<|endoftext|>b"]:
        assert mine.encode(text) == reference.encode(text).ids


def test_the_shipped_tokenizer_is_what_its_command_makes():
    if python_docs.corpus_hash() != "6c7d68cee923":
        pytest.skip("this Python's documentation is another text than the one it was trained on")
    assert load_tokenizer().to_str() == train_tokenizer(ready_split()[0]).to_str()


def test_the_shipped_held_out_list_is_what_its_command_makes(tmp_path):
    from byhand.splitting import write_ready_split

    if python_docs.corpus_hash() != "6c7d68cee923":
        pytest.skip("this Python's documentation is another text than the one it was made from")
    write_ready_split(tmp_path / "made.json")
    assert (tmp_path / "made.json").read_bytes() == python_docs.HELD_OUT_FILE.read_bytes()

"""Compression counts bytes, words between white space, and what a tokenizer does not know."""

import pytest
from byhand.bpe import BytePairTokenizer
from byhand.compression import compression

TEXT = "Ça va?  naïve 🙂 déjà"  # 20 characters, 27 bytes, 5 words


def test_bytes_are_counted_and_not_characters():
    assert compression(list, TEXT)["bytes_per_token"] == len(TEXT.encode()) / len(TEXT) > 1.2


def test_fertility_is_tokens_for_each_word_between_white_space():
    assert compression(list, TEXT)["fertility"] == len(TEXT) / 5
    assert compression(str.split, " one\ttwo \n three ")["fertility"] == 1


def test_a_token_for_each_byte_gives_one_byte_a_token_and_knows_everything():
    raw = BytePairTokenizer({byte: bytes([byte]) for byte in range(256)}, [])
    found = compression(raw.encode, TEXT)
    assert found == {"bytes_per_token": 1, "fertility": len(TEXT.encode()) / 5, "oov_rate": 0}


def test_special_tokens_are_not_counted_and_unknown_ones_are():
    def words_and_marks(text):
        return ["[CLS]", *(word if word.isascii() else "[UNK]" for word in text.split()), "[SEP]"]

    found = compression(words_and_marks, TEXT)
    assert found["fertility"] == 1
    assert found["oov_rate"] == 4 / 5
    ids = compression(lambda text: [1, *range(5, 10), 2], TEXT, specials={1, 2}, unknown={7})
    assert ids["fertility"] == 1
    assert ids["oov_rate"] == 1 / 5


@pytest.mark.parametrize(("tokenize", "text"), [(str.split, " \n"), (lambda text: ["[CLS]"], "word")])
def test_a_text_without_words_or_tokens_is_refused(tokenize, text):
    with pytest.raises(ValueError, match=r"nothing to count: the text has \d words and 0 tokens besides specials"):
        compression(tokenize, text)

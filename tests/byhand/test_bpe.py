"""Byte-pair encoding: fast training equals slow, encoding round-trips, files survive."""

import json
import random
from collections import Counter
from itertools import pairwise

import pytest
from byhand.bpe import BytePairTokenizer, tokenizer, train_bpe
from byhand.bpe.words import WORD, count_words, cut_pieces, cut_words, from_visible, split_specials, to_visible
from hypothesis import example, given, settings
from hypothesis import strategies as st

ODD = "a  b\n\n  c \t d\r\n e\u00a0f \u3000g\x1c h  \n  i'll don't 12 345 é日本 🙂🙂 ..!? \x00 "
GREEK = "ἐν ἀρχῇ ἦν ὁ λόγος, καὶ ὁ λόγος ἦν πρὸς τὸν θεόν, καὶ θεὸς ἦν ὁ λόγος. " * 3

OF_ODD = train_bpe(ODD + GREEK + "aa aaaa aaaaaaaa " * 9, 330)


def random_text(seed, letters="aab  ", length=600):
    return "".join(random.Random(seed).choices(letters, k=length))


def slow_train(text, vocab_size, specials=()):
    """Recount every pair after every merge: what the fast trainer must equal."""
    words = Counter()
    for part in split_specials(text, specials)[::2]:
        words.update(WORD.findall(part))
    split = {word: [bytes([byte]) for byte in word.encode()] for word in words}
    merges = []
    made = set()
    while len(made) < vocab_size - 256 - len(specials):
        pairs = Counter()
        for word, tokens in split.items():
            for pair in pairwise(tokens):
                pairs[pair] += words[word]
        if not pairs:
            break
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        made.add(best[0] + best[1])
        for word, tokens in split.items():
            split[word] = slow_merge(tokens, best)
    return merges


def slow_merge(tokens, pair):
    merged, place = [], 0
    while place < len(tokens):
        if tuple(tokens[place : place + 2]) == pair:
            merged.append(pair[0] + pair[1])
            place += 2
        else:
            merged.append(tokens[place])
            place += 1
    return merged


def slow_encode(text, vocab, merges):
    """The merges one after the other over every word."""
    id_of = {token: number for number, token in vocab.items()}
    ids = []
    for word in WORD.findall(text):
        tokens = [bytes([byte]) for byte in word.encode()]
        for pair in merges:
            tokens = slow_merge(tokens, pair)
        ids += [id_of[token] for token in tokens]
    return ids


@pytest.mark.parametrize(
    "text",
    [
        ODD,
        GREEK,
        random_text(1),
        random_text(2, "abcd "),
        random_text(3, "aaab"),
        "sea sea seashell she sells",
        "",
    ],
)
@pytest.mark.parametrize("vocab_size", [256, 261, 330])
def test_fast_training_learns_what_slow_training_learns(text, vocab_size):
    vocab, merges = train_bpe(text, vocab_size)
    assert merges == slow_train(text, vocab_size)
    assert list(vocab) == list(range(len(vocab)))
    assert len(set(vocab.values())) == len(vocab) <= vocab_size


def test_ties_go_to_the_pair_whose_bytes_sort_last():
    _, merges = train_bpe("xab xbc xca", 258)
    assert merges[0] == (b"x", b"c") or merges[0] == (b" ", b"x")
    assert train_bpe("ab cd", 257)[1] == [(b"c", b"d")]
    assert train_bpe("aaab aaac", 258)[1] == slow_train("aaab aaac", 258)


def test_training_ends_early_when_every_word_is_one_token():
    vocab, merges = train_bpe("ab ab", 1000)
    assert merges == [(b"a", b"b"), (b" ", b"ab")]
    assert len(vocab) == 258


def test_special_tokens_are_never_merged_and_take_the_last_ids():
    text = "<|end|>the end<|end|>the end<e>"
    vocab, merges = train_bpe(text, 280, specials=["<e>", "<|end|>"])
    assert merges == slow_train(text, 280, specials=["<e>", "<|end|>"])
    assert not any(b"<" in left + right for left, right in merges)
    assert [vocab[len(vocab) - 2], vocab[len(vocab) - 1]] == [b"<e>", b"<|end|>"]


def test_no_merge_crosses_a_word():
    _, merges = train_bpe("to be or not to be. " * 9, 400)
    tokens = [left + right for left, right in merges]
    assert b" be" in tokens
    assert all(b" " not in token[1:] for token in tokens)


def test_impossible_training_is_refused():
    with pytest.raises(ValueError, match="vocab_size is 256, but 256 bytes and 1 special tokens need 257"):
        train_bpe("text", 256, specials=["<e>"])


@given(st.text(alphabet=st.sampled_from("ab1.' \n\t\r\u00a0\u3000\x1c\x85é🙂"), max_size=40))
@example(ODD)
@example("!\x1c! \x1f\x1da 's \n's\u2028b")
@settings(max_examples=300, deadline=None, derandomize=True)
def test_counting_by_pieces_equals_counting_by_the_pattern(text):
    assert count_words(text) == Counter(WORD.findall(text))
    assert "".join(cut_pieces(text)) == text
    assert [word for piece in cut_pieces(text) for word in WORD.findall(piece)] == WORD.findall(text)


@pytest.fixture(scope="module")
def trained():
    return train_bpe(GREEK + ODD * 3 + random_text(4, "abcab  "), 420, specials=["<e>", "<e><e>"])


@given(st.text(alphabet=st.one_of(st.characters(codec="utf-8"), st.sampled_from("abc  \nλόγος")), max_size=60))
@example("")
@example(ODD)
@example("ا‎لعربية \x7f\x00 🏳️‍🌈 <e><e><e>")
@settings(max_examples=200, deadline=None, derandomize=True)
def test_any_text_round_trips(trained, text):
    mine = BytePairTokenizer(*trained, specials=["<e>", "<e><e>"])
    assert mine.decode(mine.encode(text)) == text


@pytest.mark.parametrize("text", [ODD, GREEK[:200], " leading", "abcabcab cab  bca", "a" * 100, "\n\n\n x"])
def test_encoding_equals_the_merges_one_after_the_other(trained, text):
    assert BytePairTokenizer(*trained).encode(text) == slow_encode(text, *trained)


def test_text_seen_before_is_encoded_the_same(trained):
    mine = BytePairTokenizer(*trained)
    first = mine.encode(ODD * 2)
    assert mine.encode(ODD * 2) == first
    first[0] = -1
    assert mine.encode(ODD * 2)[0] != -1


@given(
    st.lists(st.sampled_from([*"aabc\n\t 1.é日🙂\x00\x1c\u3000", "'s", "  ", "aaa", "λόγος"]), max_size=60).map("".join)
)
@example(ODD + GREEK)
@example("aaaaaaa aaaa aaa aa a")
def test_many_new_pieces_together_get_the_ids_they_get_one_by_one(text):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokenizer, "MANY", 1)
        together = BytePairTokenizer(*OF_ODD).encode(text)
        patch.setattr(tokenizer, "MANY", 10**9)
        assert together == BytePairTokenizer(*OF_ODD).encode(text)


def test_a_full_memory_starts_anew_and_changes_nothing(trained, monkeypatch):
    expected = BytePairTokenizer(*trained).encode(ODD + GREEK)
    monkeypatch.setattr(tokenizer, "REMEMBERED", 3)
    small = BytePairTokenizer(*trained)
    assert small.encode(ODD + GREEK) == expected
    assert max(len(small._words), len(small._pieces)) <= 3


def test_the_longer_special_token_wins(trained):
    mine = BytePairTokenizer(*trained, specials=["<e>", "<e><e>"])
    last = len(trained[0]) - 1
    assert mine.encode("<e><e><e>a") == [last, last - 1, ord("a")]


def test_bytes_that_are_no_text_decode_to_the_replacement_character(trained):
    mine = BytePairTokenizer(*trained)
    assert mine.decode([ord("a"), 0xFF, ord("b")]) == "a\ufffdb"
    with pytest.raises(KeyError):
        mine.decode([10**6])


@pytest.mark.parametrize(
    ("vocab", "merges", "specials", "word"),
    [
        ({1: b"a"}, [], [], r"b'\\x00'"),
        ({i: bytes([i]) for i in range(256)}, [(b"a", b"b")], [], "b'ab'"),
        ({i: bytes([i]) for i in range(256)}, [], ["<e>"], "b'<e>'"),
    ],
)
def test_a_vocabulary_with_a_hole_is_refused(vocab, merges, specials, word):
    with pytest.raises(ValueError, match=f"the vocabulary has no id for {word}"):
        BytePairTokenizer(vocab, merges, specials)


def test_a_saved_tokenizer_comes_back_whole(trained, tmp_path):
    mine = BytePairTokenizer(*trained, specials=["<e>", "<e><e>"])
    mine.save(tmp_path / "tokenizer.json")
    again = BytePairTokenizer.load(tmp_path / "tokenizer.json")
    assert (again.vocab, again.merges, again.specials) == (mine.vocab, mine.merges, mine.specials)
    assert [path.name for path in tmp_path.iterdir()] == ["tokenizer.json"]


def test_a_file_with_merges_written_as_one_string_is_read_too(trained, tmp_path):
    path = tmp_path / "tokenizer.json"
    BytePairTokenizer(*trained).save(path)
    whole = json.loads(path.read_text(encoding="utf-8"))
    whole["model"]["merges"] = [" ".join(pair) for pair in whole["model"]["merges"]]
    path.write_text(json.dumps(whole), encoding="utf-8")
    assert BytePairTokenizer.load(path).merges == trained[1]


def test_a_special_token_is_written_as_it_is_read(trained, tmp_path):
    vocab, merges = train_bpe(GREEK, 300, specials=["<é 🙂>"])
    BytePairTokenizer(vocab, merges, ["<é 🙂>"]).save(tmp_path / "tokenizer.json")
    whole = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    assert whole["model"]["vocab"]["<é 🙂>"] == whole["added_tokens"][0]["id"] == len(vocab) - 1
    again = BytePairTokenizer.load(tmp_path / "tokenizer.json")
    assert again.decode(again.encode("ὁ<é 🙂>λόγος")) == "ὁ<é 🙂>λόγος"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"normalizer": {"type": "NFC"}}, "a normalizer"),
        ({"pre_tokenizer": {"type": "Whitespace"}}, "pre_tokenizer Whitespace"),
        ({"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True}}, "add_prefix_space"),
        ({"pre_tokenizer": {"type": "ByteLevel", "use_regex": False}}, "without GPT-2's pattern"),
        ({"post_processor": {"type": "TemplateProcessing"}}, "post_processor TemplateProcessing"),
        ({"model": {"type": "WordPiece"}}, "model WordPiece"),
        ({"model": {"type": "BPE", "ignore_merges": True, "dropout": 0.1}}, "ignore_merges, dropout"),
    ],
)
def test_a_file_of_another_kind_is_named(trained, tmp_path, change, words):
    path = tmp_path / "tokenizer.json"
    BytePairTokenizer(*trained).save(path)
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | change), encoding="utf-8")
    with pytest.raises(ValueError, match=words):
        BytePairTokenizer.load(path)


def test_every_byte_has_a_visible_character_of_its_own():
    every = bytes(range(256))
    assert len(set(to_visible(every))) == 256
    assert to_visible(every).isprintable()
    assert from_visible(to_visible(every)) == every
    with pytest.raises(ValueError, match="stands for no byte"):
        from_visible("日")


def test_ascii_words_are_cut_as_all_others_are():
    rng = random.Random(1)
    characters = [*map(chr, range(128)), *"   \n\n\t''sdmtlvre019aAzZ"]
    for _ in range(5_000):
        text = "".join(rng.choices(characters, k=rng.randint(1, 14)))
        assert cut_words(text) == WORD.findall(text), repr(text)

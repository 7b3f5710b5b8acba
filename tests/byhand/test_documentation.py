"""The corpora that every Python ships: what holds for any version of them."""

import pytest
from byhand.corpora import docstrings as shipped_docstrings
from byhand.corpora import python_docs
from byhand.corpora.docstrings import docstrings, split_first_sentence
from byhand.corpora.python_docs import corpus_hash, fingerprint, paragraphs, ready_split, topics


def test_topics_are_many_in_order_and_cannot_be_changed():
    assert len(topics()) > 60
    assert list(topics()) == sorted(topics())
    assert 300_000 < sum(map(len, topics().values())) < 2_000_000
    with pytest.raises(TypeError):
        topics()["while"] = ""


def test_paragraphs_lose_nothing_but_white_space_at_their_edges():
    text = "\n\n  a\n   b  \n \t \nc\n\n\n\nd\n"
    assert paragraphs(text) == ["  a\n   b", "c", "d"]
    for topic in topics().values():
        assert " ".join(paragraphs(topic)).split() == topic.split()
    assert paragraphs(" \n\n\n") == []


def test_the_hash_names_the_text(monkeypatch):
    before = corpus_hash()
    changed = {**topics(), "while": topics()["while"] + "."}
    monkeypatch.setattr(python_docs, "topics", lambda: changed)
    assert corpus_hash() != before


def test_the_ready_split_holds_no_paragraph_twice_and_shares_none():
    train, heldout = map(paragraphs, ready_split())
    prints = [fingerprint(part) for part in train + heldout]
    assert len(set(prints)) == len(prints)
    assert 0.05 < sum(map(len, heldout)) / sum(map(len, train + heldout)) < 0.15


def test_a_python_without_its_documentation_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pydoc_data.topics", None)
    topics.cache_clear()
    with pytest.raises(RuntimeError, match="packager left the documentation out"):
        topics()


def test_docstrings_are_many_unique_and_labelled():
    found = docstrings()
    assert 4_000 < len(found) < 9_000
    assert len({entry.text for entry in found}) == len(found)
    assert len({entry.package for entry in found}) > 100
    assert all(entry.name.split(".")[0] == entry.package for entry in found)
    assert {"asyncio", "email", "json", "pathlib"} <= {entry.package for entry in found}


def test_docstrings_lose_nothing_when_cut_into_a_first_sentence_and_the_rest():
    pairs = [entry for entry in docstrings() if entry.rest]
    assert len(pairs) > 2_000
    for entry in docstrings():
        assert f"{entry.first_sentence} {entry.rest}".split() == entry.text.split()


@pytest.mark.parametrize(
    ("text", "first", "rest"),
    [
        ("Return x. See y.", "Return x.", "See y."),
        ("Version 3.11 or later", "Version 3.11 or later", ""),
        ("One\nline\n\nRest.", "One line", "Rest."),
        ("Is it?  Yes", "Is it?", "Yes"),
        ("", "", ""),
    ],
)
def test_a_first_sentence_ends_where_a_reader_would_end_it(text, first, rest):
    assert split_first_sentence(text) == (first, rest)


def test_a_standard_library_without_sources_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(shipped_docstrings.sysconfig, "get_path", lambda name: str(tmp_path))
    docstrings.cache_clear()
    with pytest.raises(RuntimeError, match="keeps its library elsewhere"):
        docstrings()


@pytest.fixture(autouse=True)
def _fresh_caches():
    yield
    topics.cache_clear()


def test_docstrings_are_read_from_nested_definitions_but_not_from_broken_files(monkeypatch, tmp_path):
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "__init__.py").write_text(
        '"""Package."""\nclass A:\n    """A."""\n    def f(self):\n        """F."""\n'
    )
    (tmp_path / "pkg" / "template.py").write_text("def {{ name }}:")
    (tmp_path / "one.py").write_text(
        'try:\n    def g():\n        """G."""\nexcept Exception:\n    pass\ndef h():\n    """F."""\n'
    )
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "x.py").write_text('"""A test."""')
    monkeypatch.setattr(shipped_docstrings.sysconfig, "get_path", lambda name: str(tmp_path))
    docstrings.cache_clear()
    try:
        assert [(entry.name, entry.package) for entry in docstrings()] == [
            ("one.g", "one"),
            ("one.h", "one"),
            ("pkg", "pkg"),
            ("pkg.A", "pkg"),
        ]
    finally:
        docstrings.cache_clear()

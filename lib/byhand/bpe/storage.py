"""The file format of the `tokenizers` library, `tokenizer.json`: writing it, and reading those that fit.

Holds byte-level BPE only: no normaliser, GPT-2's cut into words, no template around a text. Leaves out every
other kind of tokenizer, and says so when it meets one. Built in chapter 2.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from byhand.bpe.words import from_visible, to_visible

Parts = tuple[dict[int, bytes], list[tuple[bytes, bytes]], list[str]]


def write_tokenizer(
    path: Path,
    vocab: Mapping[int, bytes],
    merges: Sequence[tuple[bytes, bytes]],
    specials: Sequence[str] = (),
) -> None:
    """Write a `tokenizer.json`; the file is there whole or not at all."""
    special_bytes = {special.encode("utf-8"): special for special in specials}
    names = {number: special_bytes.get(token) or to_visible(token) for number, token in sorted(vocab.items())}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    added = [
        {
            "id": number,
            "content": name,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for number, name in names.items()
        if name in specials
    ]
    model = {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": False,
        "vocab": {name: number for number, name in names.items()},
        "merges": [[to_visible(left), to_visible(right)] for left, right in merges],
    }
    whole = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": model,
    }
    beside = path.with_name(path.name + ".part")
    beside.write_text(json.dumps(whole, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    beside.replace(path)


def read_tokenizer(path: Path) -> Parts:
    """Read a `tokenizer.json` of a byte-level BPE tokenizer: vocabulary, merges, special tokens.

    Raises:
        ValueError: when the file holds another kind of tokenizer, naming what does not fit.
    """
    whole = json.loads(path.read_text(encoding="utf-8"))
    _refuse_other_kinds(path, whole)
    specials = [token["content"] for token in whole["added_tokens"]]
    vocab = {
        number: name.encode("utf-8") if name in specials else from_visible(name)
        for name, number in whole["model"]["vocab"].items()
    }
    vocab |= {token["id"]: token["content"].encode("utf-8") for token in whole["added_tokens"]}
    pairs = [
        pair.split(" ") if isinstance(pair, str) else pair  # older files write "a b"
        for pair in whole["model"]["merges"]
    ]
    return vocab, [(from_visible(left), from_visible(right)) for left, right in pairs], specials


def _refuse_other_kinds(path: Path, whole: dict[str, Any]) -> None:
    model = whole.get("model") or {}
    cut = whole.get("pre_tokenizer") or {}
    after = (whole.get("post_processor") or {}).get("type", "ByteLevel")
    wrong = [
        found
        for found, strange in (
            (f"model {model.get('type')}", model.get("type") != "BPE"),
            ("a normalizer", whole.get("normalizer") is not None),
            (f"pre_tokenizer {cut.get('type')}", cut.get("type") != "ByteLevel"),
            ("add_prefix_space", cut.get("add_prefix_space")),
            ("a cut without GPT-2's pattern", cut.get("use_regex") is False),
            (f"post_processor {after}", after != "ByteLevel"),
            ("ignore_merges", model.get("ignore_merges")),
            ("dropout", model.get("dropout")),
            ("a word prefix", model.get("continuing_subword_prefix")),
            ("a word suffix", model.get("end_of_word_suffix")),
        )
        if strange
    ]
    if wrong:
        raise ValueError(
            f"{path} has {', '.join(wrong)}: only plain byte-level BPE can be read here; "
            "use tokenizers.Tokenizer.from_file for others"
        )

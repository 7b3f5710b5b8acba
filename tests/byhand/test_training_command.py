"""The command that pre-trains a GPT: its help is its documentation, wrong input ends with status 2 and a remedy."""

import dataclasses

import pytest
import torch
from byhand.gpt import GPT, GPTConfig
from byhand.training import History, TrainingConfig, command
from byhand.training.config import field_docs

SMALL = ["--max-seq", "16", "--d-model", "16", "--n-layers", "1", "--n-heads", "2", "--batch", "4", "--steps", "3"]


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("".join(f"The {number}th line of a text, naïve as it is.\n" for number in range(200)), "utf-8")
    return str(path)


def test_every_setting_is_an_option_and_its_documentation_the_help(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "1000")
    with pytest.raises(SystemExit, match="0"):
        command.main(["--help"])
    shown = capsys.readouterr().out
    for config in (GPTConfig, TrainingConfig):
        for name, said in field_docs(config).items():
            if name != "vocab_size":
                assert f"--{name.replace('_', '-')}" in shown
                assert said.replace("`", "").rstrip(".") in shown
    assert {"steps": 500, "eval_every": 100}.items() <= vars(command.make_parser().parse_args(["x"])).items()


def test_a_run_leaves_a_model_a_record_and_a_curve_and_is_not_repeated(tmp_path, text, capsys):
    folder = tmp_path / "run"
    assert command.main([str(folder), "--corpus", text, *SMALL]) == 0
    shown = capsys.readouterr()
    for words in ("parameters", "held-out", "bits a byte", "trigram", "loss.svg"):
        assert words in shown.out
    assert "3/3" in shown.err
    model, history = GPT.from_pretrained(folder), History.load(folder / "history.json")
    assert dataclasses.asdict(model.config).items() >= {"d_model": 16, "n_layers": 1, "vocab_size": 1024}.items()
    assert history.steps == 3
    assert (folder / "loss.svg").read_text().startswith("<?xml")
    assert command.main([str(folder), "--corpus", text, "--quiet", *SMALL]) == 0
    assert capsys.readouterr().err == ""
    assert History.load(folder / "history.json") == history


def test_only_the_first_process_prints_and_saves(tmp_path, text, capsys, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    assert command.main([str(tmp_path / "run"), "--corpus", text, "--quiet", *SMALL]) == 0
    assert capsys.readouterr().out == ""
    assert not (tmp_path / "run" / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["--corpus", "no/such/file"],
            "cannot read the corpus no/such/file (No such file",
        ),
        (["--n-heads", "5"], "d_model 16 does not divide into n_heads 5"),
        (["--warmup", "9"], "warmup 9 is longer than the 3 steps"),
        (["--lr", "0"], "lr must be above 0"),
    ],
)
def test_wrong_input_ends_with_status_2_and_a_remedy(tmp_path, text, capsys, arguments, words):
    assert command.main([str(tmp_path / "run"), "--corpus", text, *SMALL, *arguments]) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith("error: ")
    assert words in shown.err
    assert not shown.out


def test_a_folder_with_another_run_or_a_damaged_one_ends_with_status_2(tmp_path, text, capsys):
    folder = tmp_path / "run"
    options = [str(folder), "--quiet", *SMALL]
    assert command.main([*options, "--corpus", text]) == 0
    assert command.main([*options, "--corpus", text, "--lr", "0.5"]) == 2
    assert "lr 0.001 there, 0.5 here" in capsys.readouterr().err
    other = tmp_path / "other.txt"
    other.write_text("Another text. " * 200)
    assert command.main([*options, "--corpus", str(other)]) == 2
    assert "corpus" in capsys.readouterr().err
    (folder / "checkpoint.pt").write_bytes(b"nothing")
    assert command.main([*options, "--corpus", text]) == 2
    assert "delete it to start again" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "words"), [(b"\xff\xfe\x00", "is not UTF-8 text"), (b"ab", "is too short to train on")]
)
def test_what_is_no_text_is_named(tmp_path, capsys, content, words):
    path = tmp_path / "text"
    path.write_bytes(content)
    assert command.main([str(tmp_path / "run"), "--corpus", str(path)]) == 2
    assert words in capsys.readouterr().err


def test_stopping_says_how_to_go_on(tmp_path, text, capsys, monkeypatch):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "train", stopped)
    assert command.main([str(tmp_path / "run"), "--corpus", text, *SMALL]) == 130
    assert "the same command goes on from" in capsys.readouterr().err


def test_the_named_corpora_are_read_with_what_is_known_about_them():
    docs, stories = command.read_corpus("python-docs"), command.read_corpus("stories")
    assert docs.vocab_size == 1024
    assert docs.text
    assert 0.2 < stories.references["entropy"] < 1
    for corpus in (docs, stories):
        assert len(corpus.train) > 5 * len(corpus.heldout) > 5_000
        assert int(corpus.train.max()) < corpus.vocab_size
        assert corpus.train.dtype == torch.long

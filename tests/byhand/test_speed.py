"""How fast a machine multiplies and trains: the code is the same on a CPU, where it is tried with tiny sizes."""

import json

import pytest
import torch
from byhand.gpt import GPTConfig
from byhand.scaling import speed

TINY = GPTConfig(vocab_size=20, max_seq=8, d_model=8, n_layers=1, n_heads=2)


def test_every_precision_of_a_cpu_multiplies_and_leaves_the_settings_alone():
    before = torch.get_float32_matmul_precision()
    speeds = speed.matmul_speeds(16, "cpu", repeats=1)
    assert set(speeds) == {"fp32", "fp16", "bf16"}
    assert all(value > 0 for value in speeds.values())
    with speed.float32_products("tf32"):
        assert torch.get_float32_matmul_precision() == "high"
    assert torch.get_float32_matmul_precision() == before


def test_each_precision_trains_the_same_model_on_the_same_tokens():
    report = speed.training_speeds(TINY, 2, 8, "cpu", repeats=4)
    first = [row["losses"][0] for row in report.values()]
    assert max(first) - min(first) < 0.01
    for row in report.values():
        assert len(row["losses"]) == 5  # one is not timed
        assert row["losses"][-1] < row["losses"][0]
        assert row["tokens_per_second"] == pytest.approx(16 / row["step_seconds"])
        assert row["peak_bytes"] is None
        assert row["mfu"] is None


def test_a_known_gpu_gives_a_share_of_its_peak(monkeypatch):
    monkeypatch.setattr(speed, "machine_name", lambda device: "NVIDIA A100-SXM4-40GB")
    row = speed.training_speeds(TINY, 1, 4, "cpu", ["bf16"], repeats=1)["bf16"]
    assert 0 < row["mfu"] < 1e-3


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA A100-PCIE-40GB", 312.0),
        ("NVIDIA H100 80GB HBM3", 989.4),
        ("NVIDIA H200", 989.4),
        ("NVIDIA H200 NVL", None),
        ("NVIDIA H100 PCIe", None),
        ("x86_64", None),
    ],
)
def test_only_boards_with_a_published_peak_have_one(name, peak):
    assert speed.published_peak(name, "bf16") == peak


def test_a_batch_that_does_not_fit_is_halved(monkeypatch):
    asked = []

    def small_memory(config, batch, seq, device, repeats):
        asked.append(batch)
        if batch > 1:
            raise torch.OutOfMemoryError("no room")
        return {}

    monkeypatch.setattr(speed, "training_speeds", small_memory)
    monkeypatch.setattr(speed, "matmul_speeds", lambda size, device, repeats: {})
    assert speed.measure("cpu", tiny=True)["model"] == {"parameters": 940800, "batch": 1, "seq": 32}
    assert asked == [2, 1]

    def no_memory(config, batch, seq, device, repeats):
        raise torch.OutOfMemoryError("no room at all")

    monkeypatch.setattr(speed, "training_speeds", no_memory)
    with pytest.raises(torch.OutOfMemoryError, match="no room at all"):
        speed.measure("cpu", tiny=True)


def test_the_command_writes_a_report_that_can_be_read_back(tmp_path, monkeypatch, capsys):
    assert speed.stored_report(tmp_path / "none.json") is None
    monkeypatch.setattr(speed, "measure", lambda device, tiny: {"machine": f"a {device}", "tiny": tiny})
    path = tmp_path / "report.json"
    assert speed.main([str(path), "--device", "cpu", "--tiny"]) == 0
    assert json.loads(path.read_text()) == speed.stored_report(path) == {"machine": "a cpu", "tiny": True}
    assert "a cpu" in capsys.readouterr().out
    if not torch.cuda.is_available():
        with pytest.raises(SystemExit):
            speed.main([str(path)])
        assert "there is no GPU here: add --device cpu --tiny" in capsys.readouterr().err

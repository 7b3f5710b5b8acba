"""Training: an update is what the formulas say, parts equal the whole, and a stopped run goes on bit for bit."""

import dataclasses
import itertools
import json
import math
import os
import signal
import subprocess
import sys

import pytest
import torch
from byhand.gpt import GPT, GPTConfig
from byhand.packing import IGNORED, Windows
from byhand.training import (
    History,
    Muon,
    TrainingConfig,
    clip_gradients,
    evaluate,
    evaluating,
    heldout_loss,
    lr_at,
    make_optimizers,
    next_token_loss,
    train,
    train_step,
)
from byhand.training.config import field_docs
from byhand.training.history import running_mean
from byhand.training.optimizers import orthogonalize
from byhand.training.saving import CHECKPOINT, HISTORY, load_checkpoint, write_whole
from byhand.training.step import scheduled_lr

IDS = torch.randint(29, (400,), generator=torch.Generator().manual_seed(0))
CONFIG = TrainingConfig(steps=9, batch=6, lr=1e-2, warmup=2, eval_every=4, save_every=3)


def model(**changes):
    sizes = {"vocab_size": 29, "max_seq": 8, "d_model": 12, "n_layers": 2, "n_heads": 2, "dropout": 0.2, **changes}
    return GPT(GPTConfig(**sizes), torch.Generator().manual_seed(1))


def plain(width):
    """A model without a configuration of its own."""
    with torch.random.fork_rng():
        return torch.nn.Sequential(torch.nn.Embedding(29, width), torch.nn.Linear(width, 29))


def run(config=CONFIG, folder=None, gpt=None, batches=None, **options):
    gpt = gpt or model()
    source = batches or Windows(IDS[:350], 7)
    history = train(gpt, source, config, heldout=heldout_loss(IDS[350:], 7), folder=folder, show=False, **options)
    return gpt, history


def learned(history):
    return {name: value for name, value in dataclasses.asdict(history).items() if name != "seconds"}


def same_weights(first, second):
    return all(torch.equal(w, second.state_dict()[name]) for name, w in first.state_dict().items())


def stop_at(step):
    source = Windows(IDS[:350], 7)

    def batches(number, batch, rng):
        if number == step:
            raise KeyboardInterrupt
        return source(number, batch, rng)

    return batches


def test_a_step_forgets_old_gradients_clips_and_reports_the_norm_from_before():
    gpt, reference = model(dropout=0.0), model(dropout=0.0)
    optimizers = [torch.optim.SGD(m.parameters(), lr=0.5) for m in (gpt, reference)]
    for number in range(3):
        x, y = IDS[number : number + 42].view(6, 7), IDS[number + 1 : number + 43].view(6, 7)
        done = train_step(gpt, x, y, optimizers[0], clip=0.3)
        optimizers[1].zero_grad()
        loss = torch.nn.functional.cross_entropy(reference(x).flatten(0, 1), y.flatten())
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(reference.parameters(), 0.3)
        optimizers[1].step()
        assert done == pytest.approx({"loss": loss.item(), "grad_norm": norm.item()}, rel=1e-5)
        assert done["grad_norm"] > 0.3
        for mine, theirs in zip(gpt.parameters(), reference.parameters(), strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)


def test_clipping_scales_all_gradients_together_and_never_up():
    weights = [torch.zeros(2, 3, requires_grad=True), torch.zeros(4, requires_grad=True), torch.zeros(1)]
    weights[0].grad, weights[1].grad = torch.full((2, 3), 2.0), torch.full((4,), 1.0)
    norm = math.sqrt(6 * 4 + 4)
    assert clip_gradients(weights, 100.0).item() == pytest.approx(norm)
    assert weights[0].grad[0, 0] == 2.0
    assert clip_gradients(weights, 0.0).item() == pytest.approx(norm)
    assert clip_gradients(weights, 1.0, scale=0.5).item() == pytest.approx(norm / 2)
    assert weights[0].grad[0, 0].item() == pytest.approx(2 / norm, rel=1e-4)
    assert weights[1].grad[3].item() == pytest.approx(1 / norm, rel=1e-4)
    assert clip_gradients([torch.zeros(2)], 1.0).item() == 0.0


def test_the_rate_rises_in_a_line_falls_in_half_a_cosine_and_stays_at_the_end():
    rates = [lr_at(step, 4, 20, 3.0, 1.0) for step in range(25)]
    assert rates[:5] == [0.0, 0.75, 1.5, 2.25, 3.0]
    assert rates[12] == pytest.approx(2.0)
    assert rates[8] == pytest.approx(1 + 2 * (1 + math.cos(math.pi / 4)) / 2)
    assert rates[20:] == [1.0] * 5
    assert all(a > b for a, b in itertools.pairwise(rates[4:21]))
    assert lr_at(0, 0, 10, 3.0, 1.0) == 3.0
    assert lr_at(5, 5, 5, 3.0, 1.0) == 1.0


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
@pytest.mark.parametrize("warmup", [0, 1, 5])
def test_no_update_of_a_run_is_wasted_at_rate_zero(schedule, warmup):
    rates = [scheduled_lr(step, warmup, 5, 1.0, 0.0, schedule) for step in range(5)]
    assert min(rates) > 0
    assert max(rates) <= 1.0
    assert max(rates) == 1.0 or warmup == 0


class Counter(torch.nn.Module):
    """Logits that depend on the place in the window, so that wrong windows show."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.widths = []
        self.drop = torch.nn.Dropout(0.9)

    def forward(self, x):
        assert not torch.is_grad_enabled()
        self.widths += [x.shape[1]] * len(x)
        place = torch.arange(x.shape[1]).view(1, -1, 1)
        return self.drop(torch.nn.functional.one_hot(x, 29).float() * (1 + place))


@pytest.mark.parametrize("count", [2, 7, 8, 9, 15, 16, 150])
def test_evaluation_predicts_every_token_but_the_first_once_the_short_tail_too(count):
    counter, ids, seq = Counter(), IDS[:count], 7
    counter.train()
    counter.drop.eval()
    total, number = evaluate(counter, ids, seq)
    expected = 0.0
    for place in range(count - 1):
        scores = torch.nn.functional.one_hot(ids[place], 29).double() * (1 + place % seq)
        expected -= scores.log_softmax(-1)[ids[place + 1]].item()
    assert number == count - 1 == sum(counter.widths)
    assert total == pytest.approx(expected, rel=1e-6)
    assert counter.training
    assert not counter.drop.training  # each module as it was
    assert heldout_loss(ids, seq)(counter) == pytest.approx(expected / number, rel=1e-6)


def test_evaluation_restores_the_mode_even_when_the_model_fails():
    gpt = model()

    def fail():
        with evaluating(gpt):
            assert not gpt.training
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert gpt.training


@pytest.mark.parametrize(("count", "seq"), [(1, 4), (0, 4), (5, 0)])
def test_evaluation_needs_something_to_predict(count, seq):
    with pytest.raises(ValueError, match=f"got {count} tokens and seq={seq}: one predicts the other"):
        evaluate(model(), IDS[:count], seq)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"warmup": 10}, "warmup 10 is longer than the 9 steps: lower it, or train longer"),
        ({"lr": 0.0}, "lr must be above 0, got 0.0: nothing would be learned"),
        ({"lr": math.nan}, "lr must be above 0, got nan"),
        ({"lr_min": 0.1}, "lr_min 0.1 is above lr 0.01"),
        (
            {"accumulate": 4},
            "a batch of 6 cannot be cut into accumulate=4 equal parts: take a batch that is a multiple",
        ),
        ({"clip": -1.0}, "clip must be 0 or more, got -1.0"),
        ({"precision": "fp8"}, "precision is 'fp8'; choose one of fp32, bf16"),
        ({"optimizer": "sgd"}, "optimizer is 'sgd'; choose one of adamw, muon"),
        ({"schedule": "step"}, "schedule is 'step'; choose one of cosine, linear, constant"),
    ],
)
def test_contradicting_settings_are_named_with_a_way_out(changes, words):
    config = object.__new__(TrainingConfig)
    for name, value in {**dataclasses.asdict(CONFIG), **changes}.items():
        object.__setattr__(config, name, value)
    with pytest.raises(ValueError, match=words):
        config.__post_init__()


@pytest.mark.parametrize("config", [TrainingConfig, GPTConfig])
def test_every_setting_is_documented_once(config):
    docs = field_docs(config)
    assert list(docs) == [field.name for field in dataclasses.fields(config)]
    assert all(doc.endswith(".") for doc in docs.values())


def test_an_undocumented_setting_is_named():
    @dataclasses.dataclass
    class Settings:
        """Some.

        Attributes:
            one: is documented.
            three: is no field.
        """

        one: int
        two: int

    with pytest.raises(ValueError, match="differ in three, two: document each field once"):
        field_docs(Settings)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_matrices_decay_vectors_do_not_and_muon_gets_the_matrices_of_the_blocks(optimizer):
    gpt = model(tied=False)
    for name, weight in gpt.named_parameters():
        weight.requires_grad_("position" not in name)
    optimizers = make_optimizers(gpt, dataclasses.replace(CONFIG, optimizer=optimizer, weight_decay=0.3))
    names = {id(weight): name for name, weight in gpt.named_parameters()}
    found = {
        names[id(weight)]: (type(each).__name__, group["weight_decay"])
        for each in optimizers
        for group in each.param_groups
        for weight in group["params"]
    }
    assert found.keys() == {name for name, _ in gpt.named_parameters()} - {"position_embedding.weight"}
    for name, (kind, decay) in found.items():
        matrix = gpt.get_parameter(name).ndim == 2
        assert decay == (0.3 if matrix else 0.0)
        inside = matrix and name.startswith("blocks.") and optimizer == "muon"
        assert kind == ("Muon" if inside else "AdamW")


def test_orthogonalizing_keeps_the_singular_vectors_and_evens_the_values():
    for shape in ((9, 4), (4, 9), (6, 6)):
        drawn = torch.randn(shape, generator=torch.Generator().manual_seed(3))
        left, values, right = torch.linalg.svd(drawn, full_matrices=False)
        matrix = left * torch.linspace(0.2, 5.0, len(values)) @ right
        inner = left.mT @ orthogonalize(matrix, dtype=torch.float32) @ right.mT
        assert ((inner.diagonal() > 0.6) & (inner.diagonal() < 1.3)).all()
        assert (inner - torch.diag(inner.diagonal())).abs().max() < 1e-4
    assert torch.equal(orthogonalize(torch.zeros(3, 2)), torch.zeros(3, 2))


def test_muon_refuses_a_vector():
    with pytest.raises(ValueError, match=r"Muon updates matrices, got a parameter of shape \(3,\): give that one to"):
        Muon([torch.zeros(2, 2), torch.zeros(3)])


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_training_learns(optimizer, precision):
    ids = torch.arange(400) % 7 * 2
    config = TrainingConfig(steps=40, batch=8, lr=2e-2, optimizer=optimizer, precision=precision)
    gpt = model(dropout=0.0)
    history = train(gpt, Windows(ids, 7), config, heldout=heldout_loss(ids, 7), show=False)
    assert abs(history.loss[0] - math.log(29)) < 0.3
    assert history.heldout == [(40, pytest.approx(0.0, abs=1.0))]
    assert all(weight.dtype == torch.float32 for weight in gpt.parameters())


@pytest.mark.parametrize("accumulate", [2, 3, 6])
def test_a_batch_in_parts_is_the_whole_batch_even_with_targets_that_do_not_count(accumulate):
    source = Windows(IDS, 7)

    def ragged(step, batch, rng):
        x, y = source(step, batch, rng)
        return x, y.masked_fill(torch.arange(7) > torch.arange(batch).unsqueeze(1), IGNORED)

    # In double: AdamW makes whole steps out of the rounding errors of gradients that should be zero.
    whole, parts = model(dropout=0.0).double(), model(dropout=0.0).double()
    first = train(whole, ragged, CONFIG, show=False)
    second = train(parts, ragged, dataclasses.replace(CONFIG, accumulate=accumulate), show=False)
    assert second.targets == first.targets == 9 * (1 + 2 + 3 + 4 + 5 + 6)
    for name in ("loss", "grad_norm"):
        assert getattr(second, name) == pytest.approx(getattr(first, name), rel=1e-5)
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


def test_training_leaves_the_global_random_state_and_the_mode_alone():
    gpt = model().eval()
    gpt.blocks[0].train()
    before = torch.get_rng_state()
    run(gpt=gpt)
    assert torch.equal(before, torch.get_rng_state())
    assert not gpt.training
    assert gpt.blocks[0].training
    with pytest.raises(KeyboardInterrupt):
        run(gpt=gpt, batches=stop_at(2))
    assert torch.equal(before, torch.get_rng_state())
    assert not gpt.training


def test_dropout_is_at_work_and_the_seed_decides():
    first, again, other = (run(dataclasses.replace(CONFIG, seed=seed))[1] for seed in (0, 0, 1))
    assert learned(first) == learned(again)
    assert first.loss != other.loss
    assert first.loss[0] != run(gpt=model(dropout=0.0))[1].loss[0]
    x, y = IDS[:42].view(6, 7), IDS[1:43].view(6, 7)
    _, still = run(dataclasses.replace(CONFIG, lr=1e-30), batches=lambda *_: (x, y))
    assert len(set(still.loss)) == 9  # each update drops others


@pytest.mark.parametrize(("optimizer", "precision", "accumulate"), [("adamw", "fp32", 1), ("muon", "bf16", 2)])
def test_a_stopped_run_goes_on_bit_for_bit_as_if_it_had_not_stopped(tmp_path, optimizer, precision, accumulate):
    config = dataclasses.replace(CONFIG, optimizer=optimizer, precision=precision, accumulate=accumulate)
    whole, history = run(config)
    for stop in (2, 3, 8):  # before a checkpoint, right after one, and two updates after one
        folder = tmp_path / str(stop)
        with pytest.raises(KeyboardInterrupt):
            run(config, folder, batches=stop_at(stop))
        assert (folder / CHECKPOINT).exists() == (stop >= 3)
        torch.manual_seed(stop)  # of no consequence
        resumed, record = run(config, folder)
        assert same_weights(whole, resumed)
        assert learned(record) == learned(history)
        assert learned(History.load(folder / HISTORY)) == learned(history)


def test_a_killed_run_goes_on_bit_for_bit(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import os, signal, torch\n"
        "from byhand.gpt import GPT, GPTConfig\n"
        "from byhand.packing import Windows\n"
        "from byhand.training import TrainingConfig, heldout_loss, train\n"
        "ids = torch.randint(29, (400,), generator=torch.Generator().manual_seed(0))\n"
        "source = Windows(ids[:350], 7)\n"
        "def batches(step, batch, rng):\n"
        "    if step == 7:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return source(step, batch, rng)\n"
        "config = GPTConfig(vocab_size=29, max_seq=8, d_model=12, n_layers=2, n_heads=2, dropout=0.2)\n"
        "train(GPT(config, torch.Generator().manual_seed(1)), batches,\n"
        "      TrainingConfig(steps=9, batch=6, lr=1e-2, warmup=2, eval_every=4, save_every=3),\n"
        "      heldout=heldout_loss(ids[350:], 7), folder='run', show=False)\n"
    )
    killed = subprocess.run([sys.executable, script], cwd=tmp_path, check=False, env=os.environ)
    assert killed.returncode == -signal.SIGKILL
    assert History.load(tmp_path / "run" / HISTORY).steps == 6
    whole, history = run()
    resumed, record = run(folder=tmp_path / "run")
    assert same_weights(whole, resumed)
    assert learned(record) == learned(history)


def test_a_finished_run_is_not_trained_again(tmp_path):
    first, history = run(folder=tmp_path)
    again, record = run(folder=tmp_path, batches=stop_at(0))
    assert same_weights(first, again)
    assert learned(record) == learned(history)


def test_how_often_one_looks_may_change_on_the_way(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(folder=tmp_path, batches=stop_at(5))
    resumed, _ = run(dataclasses.replace(CONFIG, eval_every=2, save_every=0), tmp_path)
    assert same_weights(resumed, run()[0])


def test_a_run_with_other_settings_or_another_model_is_refused_and_left_alone(tmp_path):
    run(folder=tmp_path)
    kept = (tmp_path / CHECKPOINT).read_bytes()
    with pytest.raises(ValueError, match=r"other settings \(lr 0.01 there, 0.02 here\): choose another folder"):
        run(dataclasses.replace(CONFIG, lr=0.02), tmp_path)
    for changed, words in (
        (model(n_heads=3), "n_heads 2 there, 3 here"),
        (model(dropout=0.0), "dropout 0.2 there, 0.0"),
    ):
        with pytest.raises(ValueError, match=rf"other settings \({words}"):
            run(folder=tmp_path, gpt=changed)
    with pytest.raises(ValueError, match=r"other settings \(corpus None there, 'news' here\)"):
        run(folder=tmp_path, about={"corpus": "news"})
    other = plain(16)
    before = {name: weight.clone() for name, weight in other.state_dict().items()}
    source, folder = Windows(IDS[:350], 7), tmp_path / "plain"
    train(plain(12), source, CONFIG, folder=folder, show=False)
    with pytest.raises(ValueError, match=r"another model \(0.weight is \(29, 12\) there, \(29, 16\) here\): choose"):
        train(other, source, CONFIG, folder=folder, show=False)
    assert all(torch.equal(weight, before[name]) for name, weight in other.state_dict().items())
    assert (tmp_path / CHECKPOINT).read_bytes() == kept


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 half a file", "cut", "other"])
def test_a_damaged_checkpoint_is_named_with_a_remedy(tmp_path, damage):
    run(folder=tmp_path)
    path = tmp_path / CHECKPOINT
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-2000])
    elif damage == "other":
        torch.save({"weights": torch.zeros(2)}, path)
    else:
        path.write_bytes(damage)
    with pytest.raises(ValueError, match=r"checkpoint.pt is .*delete it to start again, or"):
        run(folder=tmp_path)


class Trap:
    """What unpickling would call."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_nothing_in_a_checkpoint_is_executed(tmp_path):
    names = ("model", "optimizers", "settings", "history")
    torch.save({name: Trap(tmp_path / "sprung") for name in names}, tmp_path / CHECKPOINT)
    with pytest.raises(ValueError, match="delete it to start again"):
        run(folder=tmp_path)
    assert not (tmp_path / "sprung").exists()


def test_a_file_is_there_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "file"

    def half(beside):
        beside.write_text("half")
        raise OSError("disk full")

    for before in (None, "old"):
        if before:
            write_whole(path, lambda beside: beside.write_text("old"))
        with pytest.raises(OSError, match="disk full"):
            write_whole(path, half)
        assert [each.name for each in path.parent.iterdir()] == (["file"] if before else [])
    assert path.read_text() == "old"


def test_a_head_that_was_replaced_is_called():
    class Doubled(torch.nn.Linear):
        def forward(self, x):
            return 2 * super().forward(x)

    gpt, other = model(dropout=0.0), model(dropout=0.0, tied=False)
    other.load_state_dict(gpt.state_dict())
    other.head = Doubled(12, 29, bias=False)
    other.head.weight = torch.nn.Parameter(gpt.head.weight.detach() / 2)
    x, y = IDS[:35].view(5, 7), IDS[1:36].view(5, 7)
    torch.testing.assert_close(next_token_loss(other, x, y), next_token_loss(gpt, x, y))


def test_a_loss_that_is_no_number_stops_the_run_before_it_is_saved(tmp_path):
    def broken(gpt, x, y):
        return gpt(x).sum() * math.nan, torch.tensor(y.numel())

    with pytest.raises(ValueError, match=r"the loss is nan at update 1: lower lr \(0.01\), add warm-up"):
        run(folder=tmp_path, loss=broken)
    assert not list(tmp_path.iterdir())


def test_a_source_must_give_what_it_was_asked_for():
    with pytest.raises(ValueError, match=r"asked for 6 sequences, got \[5, 5\] rows"):
        run(batches=lambda step, batch, rng: (IDS[:35].view(5, 7), IDS[1:36].view(5, 7)))


def test_watching_sees_the_model_without_dropout_at_every_look():
    seen = []
    run(watch=lambda step, gpt: seen.append((step, gpt.training, torch.is_grad_enabled())))
    assert seen == [(4, False, False), (8, False, False), (9, False, False)]


def test_the_bar_shows_the_losses_the_speed_and_the_time_left(capsys):
    train(model(), Windows(IDS, 7), CONFIG, heldout=heldout_loss(IDS[:50], 7))
    shown = capsys.readouterr()
    assert not shown.out
    for words in ("9/9", "loss=3.", "held-out=3.", "tokens/s=", "<"):
        assert words in shown.err


def test_a_record_survives_the_disk_and_draws_its_curve(tmp_path):
    from matplotlib import pyplot as plt

    _, history = run()
    history.save(tmp_path / "deep" / "history.json")
    assert History.load(tmp_path / "deep" / "history.json") == history
    figure = history.plot(reference={"trigram": 3.1}, title="A small run")
    assert not plt.get_fignums()
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["training", "held-out", "trigram"]
    held = next(line for line in axes.lines if line.get_label() == "held-out")
    assert list(map(tuple, held.get_xydata())) == history.heldout
    assert axes.get_xlabel() == "updates"


def test_a_broken_or_empty_record_is_named(tmp_path):
    path = tmp_path / "history.json"
    for text in ("{", "[]", '{"loss": []}', json.dumps({"surplus": 1, "heldout": []})):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"history.json is not the record of a training run .*: delete it"):
            History.load(path)
    with pytest.raises(ValueError, match="nothing to draw before the first update"):
        History().plot()


def test_the_running_mean_neither_lags_nor_leaves_the_range():
    line = [float(place) for place in range(200)]
    assert running_mean(line)[4:196] == pytest.approx(line[4:196])
    rough = [place % 2 * 2.0 for place in range(200)]
    assert all(abs(value - 1.0) < 0.2 for value in running_mean(rough))
    assert running_mean([3.0]) == [3.0]


def test_a_checkpoint_holds_tensors_and_plain_values_only(tmp_path):
    run(folder=tmp_path)
    assert set(load_checkpoint(tmp_path / CHECKPOINT)) == {"model", "optimizers", "settings", "history"}

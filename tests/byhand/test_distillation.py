"""The loss of distillation: its two parts, what gets a gradient, and a student that learns from it."""

import math

import pytest
import torch
from byhand.distillation import distil, kd_loss
from byhand.probability import cross_entropy, softmax
from byhand.training import TrainingConfig, train
from torch import nn


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


STUDENT, TEACHER, LABELS = draw(5, 7), 3 * draw(5, 7, seed=1), torch.tensor([0, 6, 3, 3, 1])


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_the_loss_is_its_two_parts(temperature, alpha):
    p, q = softmax(TEACHER, temperature), softmax(STUDENT, temperature)
    divergence = (p * (p / q).log()).sum() / 5
    expected = alpha * temperature**2 * divergence + (1 - alpha) * cross_entropy(STUDENT, LABELS)
    torch.testing.assert_close(kd_loss(STUDENT, TEACHER, LABELS, temperature, alpha), expected)


def test_it_is_zero_for_a_student_that_agrees_and_above_it_otherwise():
    assert abs(kd_loss(TEACHER, TEACHER, LABELS, 3.0, 1.0).item()) < 1e-15
    assert abs(kd_loss(TEACHER + 5, TEACHER, LABELS, 3.0, 1.0).item()) < 1e-14  # the same probabilities
    assert kd_loss(STUDENT, TEACHER, LABELS, 3.0, 1.0) > 0.1


def test_the_gradient_keeps_its_size_as_the_temperature_rises():
    norms = []
    for temperature in (50.0, 100.0, 200.0):
        leaf = STUDENT.clone().requires_grad_()
        kd_loss(leaf, TEACHER, LABELS, temperature, 1.0).backward()
        norms.append(leaf.grad.norm().item())
    assert math.isclose(norms[0], norms[2], rel_tol=0.05)


def test_no_gradient_goes_to_the_teacher_and_nothing_is_changed():
    student, teacher = STUDENT.clone().requires_grad_(), TEACHER.clone().requires_grad_()
    kd_loss(student, teacher, LABELS, 2.0, 0.5).backward()
    assert teacher.grad is None
    assert student.grad.abs().sum() > 0
    assert torch.equal(student.detach(), STUDENT)
    assert torch.equal(teacher.detach(), TEACHER)


def test_places_without_a_label_count_in_neither_part():
    labels = torch.tensor([0, -100, 3, -100, 1])
    kept = labels != -100
    broken = STUDENT.clone()
    broken[1] = math.nan
    expected = kd_loss(STUDENT[kept], TEACHER[kept], labels[kept], 2.0, 0.7)
    torch.testing.assert_close(kd_loss(broken, TEACHER, labels, 2.0, 0.7), expected)


def test_extreme_logits_give_a_finite_loss_in_float32():
    student, teacher = torch.tensor([[1e4, -1e4]]), torch.tensor([[-1e4, 1e4]])
    assert kd_loss(student, teacher, torch.tensor([0]), 1.0, 1.0).item() == 2e4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((STUDENT, TEACHER, LABELS, 0.0, 0.5), "temperature must be above 0, got 0.0"),
        ((STUDENT, TEACHER, LABELS, math.nan, 0.5), "the logits are divided by it"),
        ((STUDENT, TEACHER, LABELS, 1.0, 1.5), "alpha must be 0 to 1, got 1.5: it is the teacher's share"),
        ((STUDENT, TEACHER[:, :6], LABELS, 1.0, 0.5), r"student \(5, 7\), teacher \(5, 6\)"),
        ((STUDENT, TEACHER, LABELS[:4], 1.0, 0.5), r"labels \(4,\) do not go together"),
    ],
)
def test_bad_arguments_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        kd_loss.__wrapped__(*arguments)


def test_the_loss_of_a_batch_is_a_sum_over_its_labels():
    student, teacher = nn.Linear(4, 7).double(), nn.Sequential(nn.Linear(4, 7), nn.Dropout(0.9)).double()
    x, y = draw(2, 3, 4), torch.tensor([[1, -100, 6], [0, 2, -100]])
    total, count = distil(teacher, 2.0, 0.6)(student, x, y)
    mean = kd_loss(student(x).flatten(0, 1), teacher[0](x).flatten(0, 1), y.flatten(), 2.0, 0.6)
    assert count.item() == 4
    torch.testing.assert_close(total, 4 * mean)
    assert teacher.training
    assert teacher[1].training
    total.backward()
    assert teacher[0].weight.grad is None


def test_a_batch_without_labels_adds_nothing_and_breaks_no_gradient():
    student = nn.Linear(4, 7)
    total, count = distil(nn.Linear(4, 7), 2.0, 0.6)(student, torch.ones(2, 4), torch.full((2,), -100))
    total.backward()
    assert (total.item(), count.item()) == (0.0, 0)
    assert not student.weight.grad.any()


def test_a_student_comes_nearer_to_its_teacher_in_the_training_loop():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        teacher, student = nn.Embedding(11, 11), nn.Embedding(11, 11)

    def batches(update, size, rng):
        ids = torch.randint(11, (size, 6), generator=rng)
        return ids, (ids * 3) % 11

    ids = torch.arange(11)
    apart = [kd_loss(student(ids), teacher(ids), ids, 2.0, 1.0).item()]
    before = teacher.weight.clone()
    settings = TrainingConfig(steps=60, batch=8, lr=0.1, warmup=1)
    train(student, batches, settings, loss=distil(teacher, 2.0, 1.0), show=False)
    apart.append(kd_loss(student(ids), teacher(ids), ids, 2.0, 1.0).item())
    assert apart[1] < 0.2 * apart[0]
    assert torch.equal(teacher.weight, before)

"""The writing loop: rows end one by one, the context is cropped, text is shown whole; bad input is named."""

import dataclasses
import io

import pytest
import torch
from byhand.decoding import (
    Sampler,
    StopStrings,
    any_of,
    beam_generate,
    cut_at,
    generate,
    last_position,
    pad_left,
    print_text,
    stream,
    stream_text,
)
from byhand.gpt import GPT, GPTConfig

VOCAB, EOS, PAD = 7, 5, 6


def one_hot(tokens):
    return torch.nn.functional.one_hot(tokens, VOCAB).float()


def count_up(ids, attention_mask=None):
    """The next number, modulo the vocabulary: a row that starts nearer to EOS ends earlier."""
    return one_hot((ids[:, -1] + 1) % VOCAB)


def sum_up(ids, attention_mask=None):
    """Depends on every token it sees, and on how often it sees it."""
    seen = ids if attention_mask is None else ids * attention_mask
    return one_hot((seen.sum(-1) + 1) % VOCAB)


class Recorder:
    """A step that keeps what it was called with."""

    def __init__(self, step):
        self.step = step
        self.calls = []

    def __call__(self, *inputs):
        self.calls.append([part.clone() for part in inputs])
        return self.step(*inputs)


def test_each_row_ends_with_its_own_eos_is_padded_and_keeps_its_prefix():
    prefix = torch.tensor([[9, 3], [9, 0], [EOS, 2], [9, 4]])
    before = prefix.clone()
    ids = generate(count_up, prefix, max_new=9, eos=EOS, pad=PAD)
    assert ids.tolist() == [
        [9, 3, 4, EOS, PAD, PAD, PAD],
        [9, 0, 1, 2, 3, 4, EOS],
        [EOS, 2, 3, 4, EOS, PAD, PAD],
        [9, 4, EOS, PAD, PAD, PAD, PAD],
    ]
    assert torch.equal(prefix, before)


def test_the_loop_ends_when_all_rows_have_and_never_before_max_new_without_an_eos():
    step = Recorder(count_up)
    generate(step, torch.tensor([[3], [4]]), max_new=50, eos=EOS, pad=PAD)
    assert len(step.calls) == 2
    assert generate(count_up, torch.tensor([[3], [4]]), max_new=50).shape == (2, 51)
    assert generate(count_up, torch.tensor([[3], [4]]), max_new=1, eos=EOS, pad=PAD).tolist() == [[3, 4], [4, EOS]]


def test_no_new_tokens_and_no_rows_give_the_prefix_and_no_call():
    step = Recorder(count_up)
    prefix = torch.tensor([[3], [4]])
    unchanged = generate(step, prefix, max_new=0)
    assert torch.equal(unchanged, prefix)
    assert unchanged.data_ptr() != prefix.data_ptr()
    assert generate(step, prefix[:0], max_new=5).shape == (0, 1)
    assert step.calls == []


def test_the_model_sees_the_whole_sequence_up_to_its_context():
    step = Recorder(sum_up)
    ids = generate(step, torch.tensor([[1, 2, 3], [3, 3, 0]]), max_new=4, max_seq=5)
    assert [call[0].shape[1] for call in step.calls] == [3, 4, 5, 5]
    for end, call in zip(range(3, 7), step.calls, strict=True):
        assert torch.equal(call[0], ids[:, max(0, end - 5) : end])
    assert not torch.equal(ids, generate(sum_up, ids[:, :3], max_new=4))


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32])
def test_rows_together_are_rows_alone_for_any_integer_dtype_and_a_transposed_view(dtype):
    prefix = torch.tensor([[1, 2, 3, 0], [3, 3, 0, 1], [2, 1, 1, 4]], dtype=dtype).T
    ids = generate(sum_up, prefix, max_new=8, eos=EOS, pad=PAD)
    assert ids.dtype == dtype
    for row, start in zip(ids, prefix, strict=True):
        alone = generate(sum_up, start.unsqueeze(0), max_new=8, eos=EOS, pad=PAD)[0]
        assert row[: len(alone)].tolist() == alone.tolist()
        assert (row[len(alone) :] == PAD).all()


def test_processors_see_all_ids_even_where_the_model_sees_a_window():
    seen = []

    def processor(ids, logits):
        seen.append(ids.shape[1])
        return logits.roll(1, dims=-1)

    prefix = torch.tensor([[0, 1, 2]])
    assert generate(count_up, prefix, 3, max_seq=2, processors=[processor]).tolist() == [[0, 1, 2, 4, 6, 1]]
    assert seen == [3, 4, 5]
    twice = generate(count_up, prefix, 2, processors=[processor, processor])
    assert twice.tolist() == [[0, 1, 2, 5, 1]]


def test_prompts_of_different_lengths_are_those_prompts_alone():
    prompts = [[1, 2, 3], [4], [2, 2]]
    ids, mask = pad_left(prompts, PAD)
    assert ids.tolist() == [[1, 2, 3], [PAD, PAD, 4], [PAD, 2, 2]]
    assert mask.tolist() == [[True] * 3, [False, False, True], [False, True, True]]
    for max_seq in (None, 2):
        step = Recorder(sum_up)
        together = generate(step, ids, 4, max_seq=max_seq, attention_mask=mask)
        for row, prompt in zip(together, prompts, strict=True):
            alone = generate(sum_up, torch.tensor([prompt]), 4, max_seq=max_seq)[0]
            assert row[3:].tolist() == alone[len(prompt) :].tolist()
        for inputs, attended in step.calls:
            assert attended.shape == inputs.shape
            assert attended.dtype == torch.bool
            assert attended[:, -1].all()


def test_last_position_gives_padded_rows_the_positions_of_rows_without_padding():
    table = torch.randn(9, VOCAB, generator=torch.Generator().manual_seed(0))

    def model(ids, attention_mask=None, positions=None):
        if positions is None:
            positions = torch.arange(ids.shape[1]).expand_as(ids)
        allowed = torch.ones_like(ids) if attention_mask is None else attention_mask.long()
        return ((one_hot(ids) + table[positions]) * allowed.unsqueeze(-1)).cumsum(1).cos()

    step = last_position(model)
    ids, mask = pad_left([[1, 2, 3, 4], [5, 1]], 0)
    torch.testing.assert_close(step(ids, mask)[1:], step(ids[1:, 2:]))
    torch.testing.assert_close(step(ids, mask)[:1], step(ids[:1]))


@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_a_gpt_writes_the_same_for_prompts_together_and_alone(positions):
    config = dataclasses.replace(GPTConfig.tiny(), positions=positions, vocab_size=VOCAB)
    step = last_position(GPT(config, torch.Generator().manual_seed(0)).double().eval())
    prompts = [[1, 2, 3, 0, 4], [4], [2, 2, 6]]
    ids, mask = pad_left(prompts, PAD)
    together = generate(step, ids, 8, attention_mask=mask)
    beams, _ = beam_generate(step, ids, 3, 8, attention_mask=mask)
    for row, beam, prompt in zip(together, beams, prompts, strict=True):
        alone = torch.tensor([prompt])
        assert row[5:].tolist() == generate(step, alone, 8)[0, len(prompt) :].tolist()
        assert beam[5:].tolist() == beam_generate(step, alone, 3, 8)[0][0, len(prompt) :].tolist()
    assert len({tuple(row) for row in together[:, 5:].tolist()}) > 1


def test_no_gradient_is_recorded():
    weight = torch.ones(VOCAB, requires_grad=True)
    seen = []

    def pick(logits):
        seen.append(logits.requires_grad)
        return logits.argmax(-1)

    generate(lambda ids: count_up(ids) * weight, torch.tensor([[0]]), 2, pick)
    assert seen == [False, False]
    assert torch.is_grad_enabled()


def test_sampling_in_a_batch_depends_on_its_generator_only():
    prefix = torch.zeros(4, 1, dtype=torch.long)

    def step(ids):
        return torch.zeros(len(ids), VOCAB)

    state = torch.get_rng_state()
    first, second, other = (
        generate(step, prefix, 9, Sampler(torch.Generator().manual_seed(seed))) for seed in (1, 1, 2)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert len({tuple(row) for row in first.tolist()}) == 4
    assert torch.equal(torch.get_rng_state(), state)


def test_the_stream_is_what_generate_appends_and_asks_for_no_token_before_it_is_wanted():
    step = Recorder(count_up)
    prefix = torch.tensor([[3], [1]])
    tokens = stream(step, prefix, max_new=9, eos=EOS, pad=PAD)
    assert step.calls == []
    assert next(tokens).tolist() == [4, 2]
    assert len(step.calls) == 1
    columns = [torch.tensor([4, 2]), *tokens]
    assert torch.equal(torch.stack(columns, dim=1), generate(count_up, prefix, 9, eos=EOS, pad=PAD)[:, 1:])


def test_a_stop_criterion_ends_rows_one_by_one_and_keeps_the_token_that_met_it():
    prefix = torch.tensor([[1], [4]])
    ids = generate(count_up, prefix, 9, pad=PAD, stop=lambda ids: ids.sum(-1) >= 10)
    assert ids.tolist() == [[1, 2, 3, 4], [4, 5, 6, PAD]]
    assert generate(count_up, prefix, 3, stop=any_of()).shape == (2, 4)
    either = any_of(lambda ids: ids[:, -1] == 2, lambda ids: ids[:, -1] == 6)
    assert generate(count_up, prefix, 9, eos=5, pad=PAD, stop=either).tolist() == [[1, 2], [4, 5]]


LETTERS = "ab\nQ: "


def spell(ids):
    return "".join(LETTERS[token] for token in ids)


def test_stop_strings_are_found_across_tokens_in_the_continuation_only():
    stop = StopStrings(spell, strings=["ab", "\nQ"], start=2)
    ids = torch.tensor([[0, 1, 0, 2, 1], [3, 4, 0, 0, 1], [2, 2, 3, 0, 0], [2, 1, 1, 2, 3]])
    assert stop(ids).tolist() == [False, True, False, True]
    assert StopStrings(spell, ["ab"])(ids).tolist() == [True, True, False, False]
    written = generate(count_up, torch.tensor([[0], [1]]), 6, stop=StopStrings(spell, ["\nQ:"], start=1))
    assert written.tolist() == [[0, 1, 2, 3, 4], [1, 2, 3, 4, 0]]


def test_a_text_is_cut_before_the_stop_string_that_comes_first():
    assert cut_at("one. two! three", ["!", "."]) == "one"
    assert cut_at("one. two", ["?"]) == cut_at("one. two", []) == "one. two"
    assert cut_at(". one", ["."]) == ""


def as_text(ids):
    return bytes(ids).decode("utf-8", "replace")


@pytest.mark.parametrize("text", ["naïve café", "日本語 and 🙂🙂!", "🙂", ""])
def test_streamed_text_is_the_text_in_whole_characters(text):
    pieces = list(stream_text(text.encode(), as_text))
    assert "".join(pieces) == text
    assert pieces == list(text)


@pytest.mark.parametrize(
    "data", [b"\xff", b"a\xffb", b"\xf0\x9f\x99", b"\xf0\xf0\x9f\x99\x82", b"\x80\x80x", b"ok\xe2"]
)
def test_streamed_bytes_that_are_no_characters_come_out_as_they_are_decoded(data):
    assert "".join(stream_text(data, as_text)) == as_text(data)


def test_streamed_text_waits_for_one_character_at_a_time():
    assert list(stream_text(b"\x80" * 5, as_text)) == ["\ufffd"] * 5


def test_streamed_text_holds_back_what_may_become_a_stop_string_and_ends_before_it():
    consumed = []

    def tokens(text):
        for byte in text.encode():
            consumed.append(chr(byte))
            yield byte

    assert list(stream_text(tokens("a\nb\nQ: never"), as_text, ["\nQ:", "##"])) == ["a", "\nb"]
    assert "".join(consumed) == "a\nb\nQ:"
    assert list(stream_text(tokens("a\nQ"), as_text, ["\nQ:"])) == ["a", "\nQ"]
    assert list(stream_text(tokens("##"), as_text, ["##"])) == []


@pytest.mark.parametrize("text", ["abaab. ", "aab", "abab", "b", "aabaabaab", "aaab"])
def test_streamed_text_is_the_whole_text_cut_at_the_stop_strings(text):
    for stops in ([], ["ab"], ["aab", "b"], ["aabaab"], ["abab", "aa"]):
        assert "".join(stream_text(text.encode(), as_text, stops)) == cut_at(text, stops)


def test_the_stream_of_a_batch_of_one_can_be_shown_while_it_is_written():
    shown = []

    class Screen(io.StringIO):
        def flush(self):
            shown.append(self.getvalue())

    out = Screen()
    tokens = stream(count_up, torch.tensor([[0]]), 9, eos=5, pad=PAD)
    assert print_text(stream_text(tokens, spell), out) == "b\nQ: "
    assert out.getvalue() == "b\nQ: \n"
    assert shown[:4] == ["b", "b\n", "b\nQ", "b\nQ:"]


def test_text_is_printed_piece_by_piece_to_the_screen_by_default(capsys):
    def pieces():
        yield "one "
        assert capsys.readouterr().out == "one "
        yield "two"

    assert print_text(pieces()) == "one two"
    assert capsys.readouterr().out == "two\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"prefix": torch.zeros(2, 0, dtype=torch.long)}, "the prefix is empty.*begin it with one for BOS"),
        ({"max_new": -1}, "max_new must be 0 or more, got -1"),
        ({"max_seq": 0}, "max_seq must be at least 1, got 0; None sets no limit"),
        (
            {"attention_mask": torch.tensor([[True, True], [True, False]])},
            "row 1 of the attention mask ends in padding",
        ),
        ({"step": lambda ids: torch.zeros(2, 3, VOCAB)}, r"shape \(2, 3, 7\).* those of the last position only"),
        ({"step": lambda ids: torch.zeros(1, VOCAB)}, r"must return floating-point logits of shape \(2, vocab\)"),
        ({"step": lambda ids: torch.zeros(2, VOCAB, dtype=torch.long)}, "step returned torch.int64"),
    ],
)
def test_bad_arguments_are_named_with_the_way_out(arguments, words):
    with pytest.raises(ValueError, match=words):
        generate(**{"step": count_up, "prefix": torch.zeros(2, 2, dtype=torch.long), "max_new": 1, **arguments})


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: stream(count_up, torch.zeros(1, 0, dtype=torch.long), 1), "the prefix is empty"),
        (lambda: pad_left([], 0), "there are no prompts"),
        (lambda: pad_left([[1], []], 0), "prompt 1 is empty"),
        (lambda: cut_at("a", ["b", ""]), "a stop string is empty"),
        (lambda: StopStrings(spell, [""]), "a stop string is empty"),
        (lambda: stream_text([], spell, [""]), "a stop string is empty"),
        (lambda: StopStrings(spell, ["a"], start=-1), "start must be 0 or more, got -1"),
    ],
)
def test_bad_settings_are_refused_at_once(call, words):
    with pytest.raises(ValueError, match=words):
        call()

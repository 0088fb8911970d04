"""Slots: each article has settings of its own, and nothing but its own answer depends on them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from benchmarks.gpu.summarizer import poison
from engine.pytorch.batch import BatchExecutor
from engine.pytorch.model.weights import load_weights
from engine.pytorch.options import Options
from engine.pytorch.search.slots import Slots
from engine.settings import EARLY_STOPPING, Architecture, Bucket, Rules, Settings
from engine.tensors import NEVER
from tests.engine.pytorch.small_bart import END, LENGTHS, PAD, RULES, TARGET, Small, small_bart

MIXED = (
    Settings(num_beams=4, max_length=9, length_penalty=2.0),
    Settings(num_beams=3, min_length=12, max_length=TARGET, no_repeat_ngram_size=3, early_stopping=False),
    Settings(num_beams=2, max_length=20, length_penalty=-1.0, early_stopping="never"),
    Settings(num_beams=1, min_length=5, max_length=15, no_repeat_ngram_size=1),
    Settings(num_beams=4, max_length=2),
)


@pytest.fixture(scope="module")
def small() -> Small:
    return small_bart()


def test_articles_with_settings_of_their_own_share_steps(small: Small) -> None:
    together = small.executor().summarize(small.ids, small.mask, MIXED)
    for row, settings in enumerate(MIXED):
        assert torch.equal(together[row], small.generate(RULES, settings)[row]), settings


def test_an_article_alone_is_answered_as_in_a_batch(small: Small) -> None:
    settings = Settings(num_beams=4, max_length=20, no_repeat_ngram_size=3)
    together = small.executor().summarize(small.ids, small.mask, [settings] * len(LENGTHS))
    executor = small.executor(slots=3)
    for row, length in enumerate(LENGTHS):
        ids, mask = (tensor[row : row + 1, :length] for tensor in (small.ids, small.mask))
        alone = executor.summarize(ids, mask, [settings])
        assert alone.shape == (1, TARGET)
        assert torch.equal(alone[0], together[row])


def test_nothing_of_earlier_articles_is_seen(small: Small) -> None:
    executor = small.executor(slots=6)
    wanted = executor.summarize(small.ids, small.mask, MIXED)
    poison(executor)
    assert torch.equal(executor.summarize(small.ids, small.mask, MIXED), wanted)


@pytest.mark.parametrize("attention", ["efficient", "products"])
def test_an_article_without_tokens_harms_none_after_it(small: Small, attention: str) -> None:
    executor = small.executor(attention=attention)
    settings = [Settings(num_beams=4, max_length=20)] * len(LENGTHS)
    wanted = executor.summarize(small.ids, small.mask, settings)
    executor.caches.past.fill_(torch.nan)  # As an overflow would leave it.
    empty = executor.summarize(small.ids, torch.zeros_like(small.mask), settings)
    assert empty.max() < 200
    assert torch.isfinite(executor.slots.best_scores).all()
    assert torch.equal(executor.summarize(small.ids, small.mask, settings), wanted)


def test_further_steps_change_nothing(small: Small) -> None:
    executor = small.executor(slots=6)
    wanted = executor.summarize(small.ids, small.mask, MIXED)
    before = [tensor.clone() for tensor in executor.slots]
    executor.step()
    for name, old, new in zip(Slots._fields, before, executor.slots, strict=True):
        assert torch.equal(old, new), name
    assert torch.equal(executor.slots.best_tokens[: len(LENGTHS), 0], wanted)
    assert bool(executor.slots.done.all())


def test_each_article_ends_when_its_own_search_does(small: Small) -> None:
    """Not with its batch: a slot that is done early can be given to another article."""
    executor = small.executor()
    executor.begin(small.ids, small.mask, MIXED)
    executor.step()
    assert executor.slots.done.tolist() == [False, False, False, False, True]


def test_a_step_waits_for_nothing(small: Small) -> None:
    """On tensors without values: whatever reads one on the host, or mixes devices, raises."""
    shapes = {name: tensor.shape for name, tensor in small.model.state_dict().items()}
    tensors = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    rules = Rules(
        start_token=2, end_tokens=(2,), pad_token=PAD, first_token=0, last_token=2, repetition_penalty=1.2, never=(7,)
    )
    bucket = Bucket(slots=2, beams=4, source_length=24, target_length=TARGET)
    for attention in ("efficient", "products"):
        weights = load_weights(tensors, small.architecture, torch.bfloat16, "meta")
        executor = BatchExecutor(weights, small.architecture, rules, bucket, Options(attention=attention))
        executor.read_all()
        executor.begin_some(8, 2)
        executor.move_slot(0, 1)
        for plain in (True, False):
            executor.continue_searches(1, plain=plain)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (Settings(max_length=TARGET + 1), "max_length is 2 to 24 in this bucket, not 25"),
        (Settings(max_length=1), "max_length is 2 to 24 in this bucket, not 1"),
        (Settings(max_length=9, num_beams=5), "num_beams is 1 to 4 in this bucket, not 5"),
        (Settings(max_length=9, no_repeat_ngram_size=4), "no_repeat_ngram_size is 0 to 3 with these rules, not 4"),
        (
            Settings(max_length=9, early_stopping="always"),
            "early_stopping is one of False, True, 'never', not 'always'",
        ),
    ],
)
def test_settings_out_of_range_are_refused(small: Small, settings: Settings, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        small.executor().begin(small.ids[:1], small.mask[:1], [settings])


def test_what_does_not_fit_is_refused(small: Small) -> None:
    settings = [Settings(max_length=9)] * len(LENGTHS)
    with pytest.raises(ValueError, match="holds 2 articles of 24 tokens, with settings for each, not 5 of 24 with 5"):
        small.executor(slots=2).begin(small.ids, small.mask, settings)
    bucket = Bucket(slots=1, beams=1, source_length=65, target_length=9)
    with pytest.raises(ValueError, match="source_length is at most 64, the positions of this model, not 65"):
        BatchExecutor(small.weights, small.architecture, RULES, bucket)
    with pytest.raises(ValueError, match="beams is 1 or more, not 0"):
        Bucket(slots=1, beams=0, source_length=9, target_length=9)
    with pytest.raises(ValueError, match="attention is one of auto, efficient, cudnn, products, not 'flash'"):
        Options(attention="flash")
    entries = small.model.config.to_dict()
    with pytest.raises(ValueError, match="the activation of a layer is one of gelu, relu, not 'swish'"):
        Architecture.of({**entries, "activation_function": "swish"})
    with pytest.raises(KeyError, match="d_model"):
        Architecture.of({})


@pytest.mark.parametrize("beams", [1, 2, 3])
@pytest.mark.parametrize("early", list(EARLY_STOPPING), ids=str)
def test_fewer_beams_than_the_buffers_have_end_in_the_same_step(small: Small, beams: int, early: bool | str) -> None:
    """With the same scores: nothing of the beams that are not used counts."""
    settings = Settings(num_beams=beams, max_length=TARGET, early_stopping=early, length_penalty=2.0)
    # More summaries end than there are beams.
    bias = small.weights.logits_bias.clone()
    bias[END] += 6
    small = replace(small, weights=small.weights._replace(logits_bias=bias))
    executors = [small.executor(beams=most) for most in (beams, 5)]
    for executor in executors:
        executor.begin(small.ids, small.mask, [settings] * len(LENGTHS))
    while not all(executor.slots.done.all() for executor in executors):
        exact, wide = (executor.slots for executor in executors)
        assert torch.equal(exact.done, wide.done)
        torch.testing.assert_close(exact.best_scores, wide.best_scores[:, :beams])
        assert torch.equal(exact.finished, wide.finished[:, :beams])
        assert not wide.finished[:, beams:].any()
        assert (wide.best_scores[:, beams:] == NEVER).all()
        for executor in executors:
            executor.step()
    assert torch.equal(executors[0].finish(), executors[1].finish())

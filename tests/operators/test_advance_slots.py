"""The kernel of ``AdvanceSlots`` against its function, along searches of slots with ages and wishes of their own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from onnx import helper

from engine.article import Article, Sampling, Spacing, beginning, choices_of, wishes_of
from engine.settings import EARLY_STOPPING, Bucket, Rules, Settings
from engine.tensors import CHOICES, NEVER, NEXT, QUOTED, STATE, WISHES
from export.graph.graph import DOMAIN, MICROSOFT, OPSET
from export.graph.step.functions import ADVANCE_INPUTS, ADVANCE_OUTPUTS, advance_slots
from tests.export.graph.rows import END, PAD, WORDS, row_of, spacing

Arrays = dict[str, np.ndarray[Any, Any]]
TENSORS = {tensor.name: tensor for tensor in (*WISHES, *CHOICES, *STATE, QUOTED)}
STATES = (*(tensor.name for tensor in STATE), QUOTED.name)
COLUMNS = 128
BUCKET = Bucket(slots=5, beams=4, source_length=40, target_length=24)
PLAIN = Rules(start_token=END, end_tokens=(END,), pad_token=PAD)
RULES = {
    "plain": PLAIN,
    "forced": replace(PLAIN, first_token=0, last_token=END),
    "penalty": replace(PLAIN, repetition_penalty=1.3, last_token=END),
    "reward": replace(PLAIN, repetition_penalty=0.8, first_token=0),
    "lists": replace(PLAIN, end_tokens=(END, 5), first_token=0, never=(40, 41), never_first=(42, 43, 44)),
}


def session(library: Path | None, rules: Rules) -> ort.InferenceSession:
    """A graph of the operator alone."""

    def typed(name: str) -> Any:
        tensor = TENSORS.get(name.removesuffix(NEXT))
        kind = np.dtype(np.float32 if name == "logits" else np.int64) if tensor is None else tensor.numpy
        return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(kind), None)

    node = helper.make_node(
        "AdvanceSlots",
        ADVANCE_INPUTS,
        ADVANCE_OUTPUTS,
        domain=DOMAIN,
        words=WORDS,
        pad_token=rules.pad_token,
        first_token=-1 if rules.first_token is None else rules.first_token,
        last_token=-1 if rules.last_token is None else rules.last_token,
        before=rules.before,
        repetition_penalty=float(rules.repetition_penalty),
        longest_ngram=rules.longest_ngram,
    )
    graph = helper.make_graph(
        [node], "one", [typed(name) for name in ADVANCE_INPUTS], [typed(name) for name in ADVANCE_OUTPUTS]
    )
    opsets = [helper.make_opsetid("", OPSET), *(helper.make_opsetid(domain, 1) for domain in (MICROSOFT, DOMAIN))]
    model = helper.make_model(graph, functions=[advance_slots(rules, COLUMNS)], opset_imports=opsets)
    model.ir_version = 8
    options = ort.SessionOptions()
    options.intra_op_num_threads = 2
    options.log_severity_level = 3
    if library is not None:
        options.register_custom_ops_library(str(library))
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def article_of(random: np.random.Generator, bucket: Bucket) -> Article:
    """Any wishes; a third quote, and a third of those with one beam are drawn."""
    ids, ends = row_of(random, int(random.integers(20, bucket.source_length + 1)), 30)
    beams, most = (int(random.integers(low, high + 1)) for low, high in ((1, bucket.beams), (3, bucket.target_length)))
    settings = Settings(
        min_length=int(random.integers(0, 12)),
        max_length=most,
        num_beams=beams,
        length_penalty=float(random.choice([1.0, 2.0, -0.5])),
        no_repeat_ngram_size=int(random.integers(0, 4)),
        early_stopping=list(EARLY_STOPPING)[random.integers(len(EARLY_STOPPING))],
    )
    drawn = Sampling(temperature=1.5, top_p=float(random.choice([0.7, 1.0])), draws=random.random(most, np.float32))
    return Article(
        ids=np.array(ids, np.int32),
        settings=settings,
        sentence_ends=np.array(ends, np.int32) if random.random() < 0.3 else None,
        sampling=drawn if beams == 1 and random.random() < 0.3 else None,
    )


def join(feeds: Arrays, slot: int, article: Article, rules: Rules, bucket: Bucket) -> None:
    """Begin the search of an article."""
    words = Spacing(spaced=spacing().spaced, unspaced=spacing().unspaced)
    rows = wishes_of(article.settings, bucket) | choices_of(article, bucket, rules, words) | beginning(bucket, rules)
    for name, row in rows.items():
        feeds[name][slot] = row


def empty_slots(rules: Rules, bucket: Bucket = BUCKET) -> Arrays:
    feeds = {
        tensor.name: np.zeros([bucket.sizes.get(dim) or int(dim) for dim in tensor.dims], tensor.numpy)
        for tensor in TENSORS.values()
    }
    lists = {name: np.array(getattr(rules, name), np.int64) for name in ("end_tokens", "never", "never_first")}
    return feeds | lists | {"done": np.ones(bucket.slots, np.bool_)}


def scores_of(random: np.random.Generator, rules: Rules, rows: int) -> np.ndarray[Any, Any]:
    """In steps of a quarter, so that many are equal; ends are likely now and then."""
    logits = np.full((rows, COLUMNS), -np.inf, np.float32)
    logits[:, :WORDS] = np.round(6 * random.standard_normal((rows, WORDS))) / 4
    logits[:, list(rules.end_tokens)] += np.float32(random.choice([0.0, 4.0]))
    return logits


def step(run: ort.InferenceSession, feeds: Arrays) -> Arrays:
    return dict(zip(STATES, run.run(None, {name: feeds[name] for name in ADVANCE_INPUTS}), strict=True))


def compare(found: Arrays, expected: Arrays, before: Arrays) -> None:
    """The states of the beams that a summary asks for, where they can still be chosen."""
    going, order = ~before["done"], np.arange(before["running"].shape[1])
    asked = order < before["num_beams"][:, None]
    runs = asked & np.isfinite(expected["running"])
    quoting = before["quoting"][:, None] & np.where(going[:, None], runs, True)
    for name in ("length", "improvable", "done"):
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)
    held = asked & (expected["best_scores"] > NEVER)
    for name, which in (
        ("newest", runs),
        ("tokens", runs),
        ("visible", runs),
        ("quoted", quoting),
        ("finished", asked),
        ("best_tokens", held),
    ):
        np.testing.assert_array_equal(found[name][which], expected[name][which], err_msg=name)
    for name in ("running", "best_scores"):
        np.testing.assert_allclose(found[name][asked], expected[name][asked], rtol=1e-5, atol=1e-5, err_msg=name)
    for name in set(STATES) - {"quoted"}:
        np.testing.assert_array_equal(found[name][~going], before[name][~going], err_msg=name)


@pytest.mark.parametrize("name", RULES)
def test_searches_are_the_same(library: Path, name: str) -> None:
    rules = RULES[name]
    native, standard = session(library, rules), session(None, rules)
    random = np.random.default_rng(len(name))
    feeds = empty_slots(rules)
    counts = {"finished": 0, "ended early": 0, "quoted": 0, "drawn": 0, "not yet joined": 0}
    for _ in range(250):
        for slot in np.flatnonzero(feeds["done"]).tolist():
            if random.random() < 0.6:  # Some stay as they are for a while.
                join(feeds, slot, article_of(random, BUCKET), rules, BUCKET)
        feeds["logits"] = scores_of(random, rules, BUCKET.rows)
        expected, found = step(standard, feeds), step(native, feeds)
        compare(found, expected, feeds)
        ended = expected["done"] & ~feeds["done"]
        counts["finished"] += int(expected["finished"][ended].any(axis=1).sum())
        counts["ended early"] += int((ended & (feeds["length"] + 1 < feeds["max_length"])).sum())
        counts["quoted"] += int((ended & feeds["quoting"]).sum())
        counts["drawn"] += int((ended & (feeds["sampling"][:, 0] > 0)).sum())
        counts["not yet joined"] += int(feeds["done"].sum())
        feeds |= expected
    assert min(counts.values()) > 3, counts


def test_columns_beyond_the_words_are_nothing(library: Path) -> None:
    rules, random = RULES["penalty"], np.random.default_rng(0)
    run, feeds = session(library, rules), empty_slots(rules)
    for slot in range(BUCKET.slots):
        join(feeds, slot, article_of(random, BUCKET), rules, BUCKET)
    feeds["logits"] = scores_of(random, rules, BUCKET.rows)
    expected = step(run, feeds)
    feeds["logits"][:, WORDS:] = 99
    found = step(run, feeds)
    for name in set(STATES) - {"quoted"}:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


def test_a_slot_does_not_depend_on_the_others(library: Path) -> None:
    rules, random = RULES["forced"], np.random.default_rng(3)
    run, feeds = session(library, rules), empty_slots(rules)
    for slot in range(BUCKET.slots):
        join(feeds, slot, article_of(random, BUCKET), rules, BUCKET)
    for _ in range(8):
        feeds["logits"] = scores_of(random, rules, BUCKET.rows)
        together = step(run, feeds)
        last = {name: array[-1:] if name in TENSORS else array for name, array in feeds.items()}
        alone = step(run, last | {"logits": feeds["logits"][-BUCKET.beams :]})
        for name in set(STATES) - {"quoted"}:
            np.testing.assert_array_equal(alone[name][0], together[name][-1], err_msg=name)
        feeds |= together


def test_a_beam_that_is_not_asked_for_stays_as_it_is(library: Path) -> None:
    rules, random = RULES["plain"], np.random.default_rng(1)
    run, feeds = session(library, rules), empty_slots(rules)
    join(feeds, 0, replace(article_of(random, BUCKET), settings=Settings(max_length=9, num_beams=2)), rules, BUCKET)
    feeds["logits"] = scores_of(random, rules, BUCKET.rows)
    found = step(run, feeds)
    for name in ("newest", "tokens", "running", "visible", "best_tokens", "best_scores", "finished"):
        np.testing.assert_array_equal(found[name][0, 2:], feeds[name][0, 2:], err_msg=name)
    assert (found["newest"][0, :2] != feeds["newest"][0, :2]).any()


def test_what_does_not_fit_is_refused(library: Path) -> None:
    rules, random = RULES["plain"], np.random.default_rng(1)
    run, feeds = session(library, rules), empty_slots(rules)
    join(feeds, 1, article_of(random, BUCKET), rules, BUCKET)
    feeds["logits"] = scores_of(random, rules, BUCKET.rows)
    with pytest.raises(Exception, match="a score for every word, for every beam"):
        step(run, feeds | {"logits": feeds["logits"][1:]})
    with pytest.raises(Exception, match="tensors of the shapes of its bucket"):
        step(run, feeds | {"spans": feeds["spans"][:, 1:]})
    for name, wrong in (("num_beams", 5), ("length", 0), ("max_length", BUCKET.target_length + 1)):
        with pytest.raises(Exception, match="wishes that its bucket has room for"):
            step(run, feeds | {name: np.full(BUCKET.slots, wrong)})
    step(run, feeds)


@pytest.mark.parametrize(("temperature", "top_p"), [(1e30, 1.0), (1e6, 0.9), (1e-20, 0.9), (1.5, 1e-6), (1.5, 0.0)])
def test_the_most_and_the_least_of_chance_draw_words_that_may_come(
    library: Path, temperature: float, top_p: float
) -> None:
    """At the highest temperature all words are alike; at the lowest, and in the least nucleus, it is the best."""
    rules, random = RULES["lists"], np.random.default_rng(8)
    run, feeds = session(library, rules), empty_slots(rules)
    longest = BUCKET.target_length
    draws = random.random(longest, np.float32)
    draws[::2] = 1  # The last word of the nucleus.
    article = Article(
        ids=np.array([END], np.int32),
        settings=Settings(max_length=longest, min_length=longest),
        sampling=Sampling(temperature=temperature, top_p=top_p, draws=draws),
    )
    join(feeds, 0, article, rules, BUCKET)
    barred = [*rules.end_tokens, *rules.never, *rules.never_first]
    for count in range(1, longest - 1):
        scores = random.permutation(COLUMNS).astype(np.float32)
        feeds["logits"] = np.tile(scores, (BUCKET.rows, 1))
        feeds |= step(run, feeds)
        if count == 1:
            continue  # The first one is forced.
        token = int(feeds["newest"][0, 0])
        barred = barred if count == 2 else [*rules.end_tokens, *rules.never]
        assert token in set(range(WORDS)) - set(barred)
        if temperature < 1 or top_p < 0.1:
            scores[[*barred, *range(WORDS, COLUMNS)]] = -1
            assert token == scores.argmax()


@pytest.mark.parametrize("top_p", [1.0, 0.9, 0.0])
@pytest.mark.parametrize("temperature", [1e30, 1e-20, 1.5])
def test_what_is_drawn_of_an_article_stands_in_it(library: Path, temperature: float, top_p: float) -> None:
    rules, random = RULES["forced"], np.random.default_rng(8)
    run, feeds = session(library, rules), empty_slots(rules)
    longest = BUCKET.target_length
    for slot in range(BUCKET.slots):
        ids, ends = row_of(random, BUCKET.source_length, 30)
        article = Article(
            ids=np.array(ids, np.int32),
            settings=Settings(max_length=longest),
            sentence_ends=np.array(ends, np.int32),
            sampling=Sampling(temperature=temperature, top_p=top_p, draws=np.ones(longest, np.float32)),
        )
        join(feeds, slot, article, rules, BUCKET)
    while not feeds["done"].all():
        feeds["logits"] = scores_of(random, rules, BUCKET.rows)
        feeds |= step(run, feeds)
        for slot in range(BUCKET.slots):
            places = np.append(feeds["quote_tokens"][slot], [END, PAD, 0])
            assert np.isin(feeds["newest"][slot, 0], places)

from __future__ import annotations

import pickle
from typing import Any

import pytest

from infolens import contract, tasks
from infolens.contract import (
    CONTRACTS,
    LENGTH_BUCKETS,
    SUMMARY_SETTINGS,
    SummarySetting,
    Task,
    buckets_up_to,
    register_classifier,
)

BY_LENGTH = [setting for setting in SUMMARY_SETTINGS if setting.by_length]


@pytest.mark.parametrize("setting", BY_LENGTH, ids=lambda setting: setting.name)
def test_setting_survives_its_coding_as_a_length(setting: SummarySetting) -> None:
    steps = round((setting.maximum - setting.minimum) * setting.steps_per_unit)
    for step in range(steps + 1):
        value = setting.minimum + step / setting.steps_per_unit
        length = setting.encode(value)
        assert length == step + 1
        assert setting.decode(length) == pytest.approx(value)


def test_defaults_are_among_the_values_and_words_among_the_choices() -> None:
    for setting in SUMMARY_SETTINGS:
        assert setting.minimum <= setting.default <= setting.maximum
        assert (setting.dtype == "BYTES") == bool(setting.choices)
        assert not setting.choices or (setting.minimum, setting.maximum) == (0, len(setting.choices) - 1)


def test_a_graph_that_quotes_has_two_inputs_more_and_its_sentences_go_past_it() -> None:
    summary = CONTRACTS[Task.SUMMARY]
    dummies = ["min_length", "max_length", "num_beams", "length_penalty"]
    old, new = (summary.model_inputs(token_types=False, quotes=quotes) for quotes in (False, True))
    assert [tensor.name for tensor in old] == ["input_ids", "attention_mask", *dummies]
    assert [tensor.name for tensor in new] == ["input_ids", "attention_mask", "sentence_ends", "sampling", *dummies]
    assert [tensor.name for tensor in summary.past_the_model()] == ["source"]
    assert [t.name for t in summary.past_the_model(quotes=True)] == ["source", "input_ids", "sentence_ends"]
    assert [tensor.name for tensor in CONTRACTS[Task.CATEGORY].past_the_model()] == ["unclear"]


@pytest.mark.parametrize("limit", [1, 64, 100, 512, 1024, 4000])
def test_buckets_rise_and_end_at_the_limit(limit: int) -> None:
    buckets = buckets_up_to(limit)
    assert list(buckets) == sorted(set(buckets))
    assert buckets[-1] == limit
    assert set(buckets[:-1]) <= set(LENGTH_BUCKETS)


def test_a_limit_below_one_token_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 token"):
        buckets_up_to(0)


def test_names_are_unique_over_the_whole_repository() -> None:
    models = [n for c in CONTRACTS.values() for n in (*c.served().chain, c.ensemble)]
    outputs = [tensor.name for contract in CONTRACTS.values() for tensor in contract.ensemble_outputs()]
    assert len(models) == len(set(models))
    assert len(outputs) == len(set(outputs))


def test_every_task_has_its_contract() -> None:
    assert set(CONTRACTS) == set(Task)
    for task, facts in CONTRACTS.items():
        assert facts.task is task
        assert {tensor.name for tensor in facts.inputs} >= set(facts.reads)


def test_a_task_is_found_by_its_name_alone() -> None:
    assert Task("category") is Task.CATEGORY
    assert [str(task) for task in Task] == ["summary", "category", "veracity"]
    assert pickle.loads(pickle.dumps(Task.SUMMARY)) is Task.SUMMARY
    with pytest.raises(ValueError, match=r"summary, category, veracity, not 'mood'"):
        Task("mood")


@pytest.mark.parametrize("name", ["category", "Mood", "my mood", ""])
def test_a_task_needs_a_name_of_its_own(name: str) -> None:
    with pytest.raises(ValueError, match="lower-case word"):
        register_classifier(name, ensemble="x", model="x", architecture="bert")


@pytest.mark.parametrize(
    ("name", "facts", "message"),
    [
        ("list", {}, "none of calibrate, configs, error, evidence, failed, file, list"),
        ("category_labels", {}, "lower-case word"),
        ("größe", {}, "lower-case word"),
        ("mood", {"ensemble": "classify"}, "classify of the task mood is another task's"),
        ("mood", {"ensemble": "info_lens"}, "info_lens of the task mood"),
        ("mood", {"ensemble": "distilbert_labels"}, "distilbert_labels of the task mood"),
        ("mood", {"model": "bart"}, "bart, bart_tokenizer of the task mood"),
        ("mood", {"ensemble": ""}, "letters, digits and underscores"),
    ],
)
def test_what_another_task_has_cannot_be_registered(name: str, facts: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        register_classifier(name, **{"ensemble": "feel", "model": "feeling", "architecture": "bert", **facts})
    assert len(CONTRACTS) == 3


@pytest.mark.parametrize("module", [contract, tasks], ids=lambda module: module.__name__)
def test_the_old_name_of_the_model_of_all_tasks_still_works(module: Any) -> None:
    with pytest.warns(DeprecationWarning, match="ENSEMBLE is now INFO_LENS"):
        assert module.ENSEMBLE == contract.INFO_LENS
    with pytest.raises(AttributeError, match="has no attribute 'NOTHING'"):
        module.NOTHING  # noqa: B018


def test_a_model_of_another_family_has_a_name_of_its_own() -> None:
    category = CONTRACTS[Task.CATEGORY]
    assert category.model_name("distilbert") == "distilbert"
    assert category.model_name("deberta-v2") == "category_deberta_v2"
    assert CONTRACTS[Task.VERACITY].model_name("distilbert") == "veracity_distilbert"
    assert category.served("category_roberta").chain == (
        "category_roberta_tokenizer",
        "category_roberta",
        "category_roberta_labels",
    )

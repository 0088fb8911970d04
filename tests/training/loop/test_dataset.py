"""The order and the augmentation of training articles."""

import datasets
import numpy as np
import pytest

from tests.training.toys import small
from training.loop.dataset import (
    Articles,
    AugmentedArticles,
    ClassifierCollator,
    Curriculum,
    LengthGrouped,
    SummaryCollator,
)

LENGTHS = [5, 40, 12, 33, 7, 21, 9, 30, 28, 16]


@pytest.fixture(scope="module")
def table() -> datasets.Dataset:
    return datasets.Dataset.from_dict(
        {
            "input_ids": [[100 * i + j for j in range(length)] for i, length in enumerate(LENGTHS)],
            "labels": [[1.0, 0.0] if i % 2 else [0.0, 1.0] for i in range(len(LENGTHS))],
            "class": [i % 2 for i in range(len(LENGTHS))],
            "length": LENGTHS,
            "stage": [0, 0, 0, 0, 1, 1, 1, 1, 1, 1],
        }
    )


def test_an_article_is_augmented_alike_in_the_same_pass_and_otherwise_in_the_next(table: datasets.Dataset) -> None:
    recipe = small(token_dropout=0.3, join=0.5, seed=3)
    one, two = (AugmentedArticles(table, recipe, room=16) for _ in range(2))
    for articles in (one, two):
        articles.set_epoch(2)
    order = np.random.default_rng(0).permutation(10).tolist()
    first = {i: one[i]["input_ids"].tolist() for i in order}
    assert first == {i: two[i]["input_ids"].tolist() for i in sorted(order)}
    assert all(0 < len(ids) <= 16 for ids in first.values())
    two.set_epoch(3)
    assert first != {i: two[i]["input_ids"].tolist() for i in order}


def test_joined_articles_are_of_one_class(table: datasets.Dataset) -> None:
    articles = AugmentedArticles(table, small(join=1.0), room=500)
    for index in range(10):
        ids = articles[index]["input_ids"]
        assert len(ids) > LENGTHS[index]
        assert {int(token) // 100 % 2 for token in ids} == {index % 2}


def test_articles_are_cropped_to_another_length_in_each_pass(table: datasets.Dataset) -> None:
    articles = AugmentedArticles(table, small(least_train_tokens=12), room=30)
    seen: dict[int, set[int]] = {length: set() for length in LENGTHS}
    for epoch in range(200):
        articles.set_epoch(epoch)
        for index, length in enumerate(LENGTHS):
            seen[length].add(len(articles[index]["input_ids"]))
    for length, lengths in seen.items():
        assert lengths == set(range(min(10, length), min(30, length) + 1)), "two of the 12 to 32 are special tokens"


@pytest.mark.parametrize(("least", "longest"), [(7, 32), (33, 32), (17, 16)])
def test_the_shortest_training_input_is_no_longer_than_the_longest(least: int, longest: int) -> None:
    with pytest.raises(ValueError, match=rf"from 8 to the longest training input \({longest}\), not {least}"):
        small(least_train_tokens=least, max_tokens=32, window=longest)


@pytest.mark.parametrize(("room", "least"), [(20, 0), (500, 0), (30, 12)])
def test_articles_are_put_together_by_the_lengths_that_they_have_in_the_pass(
    table: datasets.Dataset, room: int, least: int
) -> None:
    articles = AugmentedArticles(table, small(join=0.5, token_dropout=0.0, least_train_tokens=least), room=room)
    for epoch in (0, 3):
        articles.set_epoch(epoch)
        assert articles.lengths_now().tolist() == [len(articles[index]["input_ids"]) for index in range(10)]
    rows = np.asarray(list(LengthGrouped(articles, batch=5, seed=0)))
    now = articles.lengths_now()[rows].reshape(2, 5)
    assert now[0].max() <= now[1].min() or now[1].max() <= now[0].min()


def test_the_order_changes_with_the_pass_and_reaches_the_articles(table: datasets.Dataset) -> None:
    articles = AugmentedArticles(table, small(), room=16)
    sampler = LengthGrouped(articles, batch=2, seed=0)
    orders = []
    for epoch in (0, 1, 0):
        sampler.set_epoch(epoch)
        orders.append(list(sampler))
        assert sorted(orders[-1]) == list(range(10))
    assert orders[0] == orders[2] != orders[1]
    sampler.set_epoch(7)
    assert articles.epoch == 7


def test_a_curriculum_goes_stage_by_stage(table: datasets.Dataset) -> None:
    order = list(Curriculum(Articles(table), batch=2, seed=0, passes=(0.5, 2.0)))
    assert len(order) == 2 + 12
    assert set(order[:2]) < {0, 1, 2, 3}
    assert sorted(order[2:]) == sorted([4, 5, 6, 7, 8, 9] * 2)
    assert order == list(Curriculum(Articles(table), batch=2, seed=0, passes=(0.5, 2.0)))


def test_summaries_are_padded_and_shifted() -> None:
    rows = [
        {"input_ids": np.array([5, 6, 7]), "labels": np.array([8])},
        {"input_ids": np.array([5]), "labels": np.array([8, 9])},
    ]
    batch = SummaryCollator(pad=1, start=2)(rows)
    assert batch["input_ids"].tolist() == [[5, 6, 7], [5, 1, 1]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch["labels"].tolist() == [[8, -100], [8, 9]]
    assert batch["decoder_input_ids"].tolist() == [[2, 8], [2, 8]]


def test_classifier_batches_carry_their_distributions() -> None:
    from training.models.tokenization import train_wordpiece

    tokenizer = train_wordpiece(["a town", "a river"] * 10, vocabulary=60, max_length=16)
    rows = [{"input_ids": np.array([7, 8], dtype=np.int32), "labels": np.array([0.25, 0.75])}] * 2
    batch = ClassifierCollator(tokenizer, types=False)(rows)
    assert batch["labels"].tolist() == [[0.25, 0.75]] * 2
    assert batch["input_ids"].shape == (2, 4)

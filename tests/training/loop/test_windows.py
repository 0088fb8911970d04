"""A classifier in training judges whole articles as it will when it serves: window by window."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoConfig, AutoTokenizer

from export.architectures import architectures
from infolens.contract import AnswerKind, Task
from reading.spread import WINDOW
from tests.training.toys import LABELS, TELLING, small, toy_splits
from training.errors import SettingError
from training.loop.batches import encode
from training.loop.prediction import predict
from training.loop.windows import predict_texts
from training.models.architectures import load_prepared
from training.runs.fitting import Data, fit
from training.tasks.classifier import WINDOWED, prepare

RUN = "the team won the match and the judge heard the case of the goal " * 5
TEXTS = ("Short.", "The team won the match. " * 3, "The judge heard the case. " * 40 + "The end of it is here.")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A starter that was trained for windows of 16 tokens, 32 in all."""
    out = tmp_path_factory.mktemp("windows") / "category"
    data = Data(splits=toy_splits(Task.CATEGORY, train=160), more=(("More text of the town.", ""),))
    fit(Task.CATEGORY, small(window=16, max_tokens=32), out, data=data)
    return out


@pytest.fixture(scope="module")
def model(trained: Path) -> tuple[Any, Any]:
    loaded, tokenizer = load_prepared(Task.CATEGORY, trained)
    return loaded.eval(), tokenizer


def test_a_run_for_windows_learns_and_its_checkpoint_says_so(trained: Path) -> None:
    assert json.loads((trained / "metrics.json").read_text())["test"]["accuracy"] >= 0.9
    assert getattr(AutoConfig.from_pretrained(trained), WINDOW) == 16
    assert AutoTokenizer.from_pretrained(trained).model_max_length == 32


def test_the_answer_is_the_mean_of_the_log_probabilities_weighted_by_tokens(model: tuple[Any, Any]) -> None:
    loaded, tokenizer = model
    found = predict_texts(loaded, tokenizer, TEXTS, tokens=32, window=16)
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-5)
    ids = encode(tokenizer, TEXTS)
    np.testing.assert_allclose(found[:1], predict(loaded, tokenizer, ids[:1], tokens=16), rtol=1e-5)
    # A text without a full stop: its first and its last 14 tokens, each with two special ones.
    words = encode(tokenizer, [RUN])[0]
    logs = np.log(predict(loaded, tokenizer, [words[:14], words[-14:]], tokens=16))
    mean = np.exp(logs.mean(0))
    found = predict_texts(loaded, tokenizer, [RUN], tokens=32, window=16)
    np.testing.assert_allclose(found[0], mean / mean.sum(), rtol=1e-4)


def test_what_is_not_read_changes_nothing_and_what_is_does(model: tuple[Any, Any]) -> None:
    loaded, tokenizer = model
    ends = [f"{TELLING[label]}." for label in LABELS[Task.CATEGORY]]
    texts = [f"{'A word of it. ' * 30}{end}" for end in ends]
    whole = predict_texts(loaded, tokenizer, texts, tokens=32, window=16)
    assert np.abs(np.log(whole[0]) - np.log(whole[1])).max() > 1e-3, "they end with what tells the labels apart"
    beginning = predict_texts(loaded, tokenizer, texts, tokens=32)
    np.testing.assert_allclose(beginning[0], beginning[1], rtol=1e-6)


def test_an_answer_does_not_depend_on_the_articles_beside_it(model: tuple[Any, Any]) -> None:
    loaded, tokenizer = model
    together = predict_texts(loaded, tokenizer, TEXTS, tokens=32, window=16)
    for row, text in enumerate(TEXTS):
        alone = predict_texts(loaded, tokenizer, [text], tokens=32, window=16)
        np.testing.assert_allclose(alone[0], together[row], atol=1e-5)


@pytest.mark.parametrize(("window", "most"), [(4, 32), (24, 32), (64, 32)])
def test_windows_that_cannot_be_are_refused(window: int, most: int) -> None:
    with pytest.raises(ValueError, match="window is at least 8 and divides max_tokens"):
        small(window=window, max_tokens=most)


def test_an_architecture_that_is_not_served_in_windows_is_refused(tmp_path: Path) -> None:
    recipe = small(window=16, max_tokens=32)
    with pytest.raises(SettingError, match="a xlnet is not served in windows"):
        prepare(toy_splits(Task.VERACITY, train=32), Task.VERACITY, recipe, tmp_path)


def test_training_knows_which_architectures_are_served_in_windows() -> None:
    served = {name for name, one in architectures().items() if one.windows and one.answers is AnswerKind.LABELS}
    assert served == WINDOWED

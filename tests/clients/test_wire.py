from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from infolens import (
    Article,
    Client,
    InvalidSettingError,
    Labelled,
    Reading,
    Report,
    Summary,
    SummaryOptions,
    Task,
    UnexpectedResponseError,
)
from infolens._transports.answering import pack_report, unpack_request
from infolens._transports.wire import pack, parse_tasks, unpack
from infolens.contract import CONTRACTS
from infolens.testing import FakeTransport, fake_report

ALL = tuple(Task)
ARTICLE = Article(text="Zwölf Boote\x00", title="Regatta")


def answer() -> dict[str, NDArray[Any]]:
    return pack_report(fake_report())


def test_one_task_asks_its_ensemble_and_several_ask_the_model_of_all() -> None:
    assert pack(ARTICLE, ALL).model == "info_lens"
    assert pack(ARTICLE, [Task.VERACITY]).model == "verify"
    assert pack(ARTICLE, [Task.SUMMARY, Task.CATEGORY]).model == "info_lens"


def test_tensors_have_the_contracts_types_and_a_batch_of_one() -> None:
    request = pack(ARTICLE, ALL, SummaryOptions(num_beams=2, length_penalty=0.5))
    found = {name: (array.dtype, array.shape, array[0, 0]) for name, array in request.inputs.items()}
    assert found == {
        "title": (np.dtype(object), (1, 1), b"Regatta"),
        "text": (np.dtype(object), (1, 1), "Zwölf Boote\x00".encode()),
        "num_beams": (np.dtype(np.int32), (1, 1), 2),
        "length_penalty": (np.dtype(np.float32), (1, 1), 0.5),
    }
    assert set(request.outputs) == {t.name for c in CONTRACTS.values() for t in c.ensemble_outputs()}


def test_a_request_names_only_what_its_tasks_have() -> None:
    options = SummaryOptions(num_beams=2)
    assert set(pack(ARTICLE, [Task.SUMMARY], options).inputs) == {"text", "num_beams"}
    outputs = {
        "category",
        "category_probability",
        "category_probabilities",
        "category_labels",
        "category_signal",
        "category_doubt",
        "category_tokens",
        "category_truncated_tokens",
        "category_unread",
    }
    for partial in (False, True):
        classify = pack(ARTICLE, [Task.CATEGORY], options, partial=partial)
        assert set(classify.inputs) == {"title", "text"}
        assert set(classify.outputs) == outputs
    both = pack(ARTICLE, [Task.CATEGORY, Task.VERACITY], options)
    assert set(both.inputs) == {"title", "text"}
    assert set(both.outputs) == outputs | {name.replace("category", "veracity") for name in outputs}


def test_requests_and_reports_survive_the_round_trip() -> None:
    options = SummaryOptions(min_length=5, max_length=50, num_beams=1, length_penalty=-1.5)
    request = pack(ARTICLE, ALL, options)
    assert unpack_request(request) == (ARTICLE, options)
    report = fake_report(category="Travel", veracity="fake", tokens=70, truncated_tokens=6, summary="Ünï\x00")
    found = unpack(pack_report(report), ALL)
    assert found.summary == report.summary
    assert found.readings == report.readings
    assert found.category is not None
    assert report.category is not None
    assert found.category.label == "Travel"
    assert found.category.probabilities == pytest.approx(dict(report.category.probabilities), abs=1e-6)
    alone = [unpack(pack_report(report), [task]).answers for task in ALL]
    assert {task: answer for answers in alone for task, answer in answers.items()} == found.answers


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("summary", None, "lacks it"),
        ("summary", np.array([["text"]]), "summary must be BYTES"),
        ("summary", np.array([b"flat"], dtype=object), r"\[1, 1\].*\[1\]"),
        ("summary", np.array([[b"\xff"]], dtype=object), "UTF-8"),
        ("summary", np.array([[7]], dtype=object), "bytes"),
        ("category", np.array([[b"Gardening"]], dtype=object), "Gardening"),
        ("category_probabilities", np.full((1, 9), 0.1, np.float32), "9 probabilities for 'Business', 'Politics'"),
        ("category_probabilities", np.zeros((10,), np.float32), r"\[1, -1\].*\[10\]"),
        ("category_probabilities", np.array([[0.1] * 9 + [0.9]], np.float32), "'Business' has 0.100"),
        ("category_labels", np.array([[b"Business", b"Politics"] * 5], dtype=object), "'Politics', 'Business'"),
        ("category_labels", np.array([[b"\xff"] * 10], dtype=object), "category_labels must be UTF-8"),
        ("category_labels", None, "lacks it"),
        ("category_probabilities", np.zeros((1, 10), np.float64), "FP32"),
        ("veracity_probability", np.array([[np.nan]], np.float32), "between 0 and 1"),
        ("veracity_probability", np.array([[1.5]], np.float32), "between 0 and 1"),
        ("veracity_truncated_tokens", np.array([[101]], np.int32), "101 of 100"),
        ("veracity_tokens", np.array([[1, 2]], np.int32), "veracity_tokens"),
    ],
)
def test_an_answer_off_the_contract_is_refused(name: str, array: NDArray[Any] | None, message: str) -> None:
    arrays = answer()
    if array is None:
        del arrays[name]
    else:
        arrays[name] = array
    with pytest.raises(UnexpectedResponseError, match=message):
        unpack(arrays, ALL)


def test_the_labels_are_the_servers_to_say() -> None:
    report = fake_report(category="Opera", categories=("Opera", "Ballet"), veracity="fake")
    found = unpack(pack_report(report), ALL)
    assert found.category is not None
    assert list(found.category.probabilities) == ["Opera", "Ballet"]
    assert found.category.label == "Opera"


def test_a_task_of_ones_own_is_asked_for_and_read(sentiment: Task) -> None:
    request = pack(ARTICLE, [sentiment])
    assert request.model == "feel"
    assert "sentiment_labels" in request.outputs
    assert parse_tasks(None) == ALL  # it is asked for by name only
    reading = Reading(tokens=9)
    mood = Labelled(label="glad", probability=0.75, probabilities={"glad": 0.75, "sad": 0.25}, reading=reading)
    both = pack(ARTICLE, [Task.VERACITY, sentiment])
    assert both.model == "info_lens"
    assert {"veracity", "sentiment"} <= {*both.outputs}
    report = Report.of({sentiment: mood})
    assert unpack(pack_report(report), [sentiment]) == report
    assert report.answers == {sentiment: mood}
    assert report.to_dict()["sentiment"]["label"] == "glad"
    assert pickle.loads(pickle.dumps(report)) == report


def test_a_fake_answers_further_tasks_too(sentiment: Task) -> None:
    answer = Client(transport=FakeTransport()).analyze("Text", tasks=[sentiment]).answers[sentiment]
    assert isinstance(answer, Labelled)
    assert (answer.label, len(answer.probabilities)) == ("bad", 3)


def test_a_report_cannot_be_changed() -> None:
    reading = Reading(tokens=1)
    report = Report(summary=Summary(text="Short.", reading=reading))
    assert hash(report) == hash(Report(summary=Summary(text="Short.", reading=reading)))
    with pytest.raises(TypeError):
        report.more[Task.CATEGORY] = None  # type: ignore[index]


def test_only_the_tasks_that_were_asked_for_are_read() -> None:
    arrays = {name: array for name, array in answer().items() if name.startswith("veracity")}
    report = unpack(arrays, [Task.VERACITY])
    assert report.veracity is not None
    assert report.summary is None


def test_tasks_come_in_the_contracts_order() -> None:
    assert parse_tasks(None) == ALL
    assert parse_tasks("category") == (Task.CATEGORY,)
    assert parse_tasks(["veracity", Task.SUMMARY, "veracity"]) == (Task.SUMMARY, Task.VERACITY)
    for wrong in ("mood", ["summary", "mood"], []):
        with pytest.raises(InvalidSettingError, match="summary, category, veracity"):
            parse_tasks(wrong)

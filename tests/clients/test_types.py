from __future__ import annotations

import dataclasses
import json
import pickle
from typing import Any

import pytest

from infolens import Article, InvalidArticleError, InvalidSettingError, Report, SummaryOptions
from infolens.contract import CATEGORIES, MAX_ARTICLE_BYTES, SUMMARY_SETTINGS
from infolens.testing import fake_report


@pytest.mark.parametrize("text", ["", "   \n\t", "\x00\x01\x1b", "\u00a0\u2003"])
def test_blank_text_is_refused_with_the_way_out(text: str) -> None:
    with pytest.raises(InvalidArticleError, match="pass the body"):
        Article(text=text)


def test_size_counts_bytes_of_title_and_text() -> None:
    Article(text="é" * (MAX_ARTICLE_BYTES // 2))
    with pytest.raises(InvalidArticleError, match=rf"{MAX_ARTICLE_BYTES:,}.*{MAX_ARTICLE_BYTES + 1:,}"):
        Article(text="é" * (MAX_ARTICLE_BYTES // 2), title="x")


@pytest.mark.parametrize("values", [{"text": b"bytes"}, {"text": "x", "title": 3}, {"text": "a\ud800b"}])
def test_what_is_no_text_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(InvalidArticleError, match=r"str|UTF-8"):
        Article(**values)


def test_control_characters_beside_text_are_welcome() -> None:
    assert Article(text="a\x00b").text == "a\x00b"


def test_values_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Article(text="x").text = "y"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"max_length": 3}, "max_length must lie between 4 and 256, but is 3"),
        ({"max_length": 257}, "257"),
        ({"min_length": -1}, "min_length"),
        ({"num_beams": 0}, "num_beams"),
        ({"num_beams": 2.0}, "whole number"),
        ({"num_beams": True}, "whole number"),
        ({"length_penalty": float("nan")}, "length_penalty"),
        ({"length_penalty": 4.1}, "default, 1"),
        ({"length_penalty": "1"}, "a number"),
        ({"min_length": 40, "max_length": 20}, "min_length is 40 and max_length is 20"),
    ],
)
def test_settings_out_of_range_name_setting_range_and_value(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSettingError, match=message):
        SummaryOptions(**values)


def test_only_given_settings_are_given() -> None:
    assert SummaryOptions().given() == {}
    options = SummaryOptions(length_penalty=0, min_length=0, max_length=10)
    assert options.given() == {"min_length": 0, "max_length": 10, "length_penalty": 0}


def test_a_small_max_length_alone_takes_the_minimum_with_it() -> None:
    minimum = next(setting.default for setting in SUMMARY_SETTINGS if setting.name == "min_length")
    options = SummaryOptions(max_length=8)
    assert minimum > 8
    assert options.given() == {"max_length": 8}


def test_report_as_json() -> None:
    report = fake_report(summary="So it is.", category="Sports", veracity="fake", tokens=9, truncated_tokens=2)
    document = json.loads(json.dumps(report.to_dict()))
    assert document["summary"] == {"text": "So it is.", "sentences": [], "unsupported": []}
    assert set(document["category"]) == {"label", "signal", "doubt", "probability", "probabilities"}
    assert document["category"]["label"] == "Sports"
    assert list(document["category"]["probabilities"]) == list(CATEGORIES)
    assert document["veracity"]["label"] == "fake"
    assert document["truncated"] is True
    assert document["readings"]["veracity"] == {"tokens": 9, "truncated_tokens": 2, "unread": []}


def test_tasks_that_were_not_asked_for_have_no_key() -> None:
    report = Report(category=fake_report().category)
    assert set(report.to_dict()) == {"category", "truncated", "readings"}
    assert report.truncated is False


def test_reports_survive_pickling_and_their_probabilities_do_not_change() -> None:
    report = fake_report()
    assert pickle.loads(pickle.dumps(report)) == report
    assert report.category is not None
    with pytest.raises(TypeError):
        report.category.probabilities["Sports"] = 1.0  # type: ignore[index]

"""The repository that a model is asked in: it alone, uncalibrated, and linked to files that must stay as they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.calibration import asking
from export.calibration.asking import _alone, ask_server
from export.calibration.tables import Row
from export.errors import AskingError
from export.repository.artefact import read_artefact
from export.repository.configs import from_text
from export.repository.contents import read_artefacts
from export.repository.publish import publish
from infolens import Article, Client, InfoLensError, ModelUnavailableError, Report, RequestRejectedError
from infolens.contract import Task
from infolens.testing import FakeTransport, fake_report
from tests.export.repository.artefacts import exported


def test_a_model_stands_alone_without_what_was_fitted_before(tmp_path: Path) -> None:
    repository = tmp_path / "model_repository"
    for task, name in ((Task.CATEGORY, ""), (Task.VERACITY, ""), (Task.VERACITY, "other")):
        made = exported(task, tmp_path / "made", name=name)
        publish(replace(made, artefact=replace(made.artefact, temperature=2.0, threshold=0.7)), repository)
    (repository / "deployment.toml").write_text(
        'text_batch_size = 7\n[serves]\nveracity = "xlnet"\n[veracity]\nother_scripts = true\n', encoding="utf-8"
    )
    artefact = read_artefact(repository / "other" / "1" / "artefact.json")
    alone = _alone(repository, "other", artefact, tmp_path / "work")
    found = read_artefacts(alone)
    assert list(found) == ["other"]
    assert (found["other"].temperature, found["other"].threshold) == (1, 0)
    assert (alone / "other" / "1" / "model.onnx").samefile(repository / "other" / "1" / "model.onnx")
    assert read_artefact(repository / "other" / "1" / "artefact.json") == artefact
    config = from_text((alone / "other_tokenizer" / "config.pbtxt").read_text(encoding="utf-8"))
    assert config.max_batch_size == 7
    assert config.parameters["scripts"].string_value == "any"
    assert config.parameters["least_words"].string_value == "0"
    assert {path.name for path in alone.iterdir() if path.is_dir()} == {
        "other",
        "other_tokenizer",
        "other_labels",
        "verify",
    }


def answering(monkeypatch: pytest.MonkeyPatch, answer: Callable[[Article], Report | InfoLensError]) -> None:
    def client(url: str, **arguments: Any) -> Client:
        return Client(transport=FakeTransport(answer), **arguments)

    monkeypatch.setattr(asking, "Client", client)


def rows(*texts: str) -> list[Row]:
    return [Row(text=text, title=None, label="real", source="a") for text in texts]


def test_answers_are_in_order_with_what_was_too_little_and_without_what_was_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def answer(article: Article) -> Report | InfoLensError:
        if "foreign" in article.text:
            return RequestRejectedError("another language")
        doubt = {"short": "text too short", "unsure": "not sure enough: 0.512 after calibration, 0.600 is needed"}
        return fake_report(veracity="fake", probability=float(article.text[:4]), doubt=doubt.get(article.text[5:], ""))

    answering(monkeypatch, answer)
    asked = rows("0.81 long", "0.82 foreign", "0.83 short", "\u2800", "0.84 unsure")
    found = ask_server("fake", Task.VERACITY, ("fake", "real"), asked)
    assert found.rows == (asked[0], asked[2], asked[4])
    np.testing.assert_allclose(found.probabilities[:, 0], [0.81, 0.83, 0.84], atol=1e-6)
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, atol=1e-5)
    assert found.clear.tolist() == [True, False, True]
    assert len(found.refused) == 2
    with pytest.raises(AskingError, match=r"took none of 1 articles; .* another language"):
        ask_server("fake", Task.VERACITY, ("fake", "real"), rows("foreign"))


def test_a_server_that_does_not_answer_is_no_reason_to_leave_articles_out(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, lambda article: ModelUnavailableError("it is not loaded"))
    with pytest.raises(AskingError, match="an article has no answer: it is not loaded"):
        ask_server("fake", Task.VERACITY, ("fake", "real"), rows("a text"))

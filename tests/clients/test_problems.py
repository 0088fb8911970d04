"""Errors as problem documents (RFC 9457), both ways."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

import infolens
from infolens import (
    AuthenticationError,
    InfoLensError,
    InvalidArticleError,
    ModelUnavailableError,
    PredictionNotFoundError,
    RateLimitedError,
    RequestRejectedError,
    RequestTimeoutError,
    ServerError,
    ServerOverloadedError,
    ServerUnavailableError,
    UnexpectedResponseError,
    WrongServerError,
)
from infolens.problems import KINDS, Fault, Problem, from_problem, to_problem

ERRORS = [one for one in vars(infolens).values() if isinstance(one, type) and issubclass(one, InfoLensError)]
SENT = [error for error in ERRORS if issubclass(error, ServerError)]
UNSENT = {ServerError, UnexpectedResponseError, WrongServerError, PredictionNotFoundError}
"""What the client alone knows: a server says `not_found` of whatever it was asked for."""


@pytest.mark.parametrize("error", ERRORS)
def test_every_error_becomes_a_problem(error: type[InfoLensError]) -> None:
    document = to_problem(error("the rule"), instance="r-1")
    assert document["detail"] == "the rule"
    assert document["instance"] == "r-1"
    assert 400 <= document["status"] <= 599
    assert document["type"] == "about:blank" or document["type"].removeprefix("/v1/problems/") in KINDS
    assert document["title"]
    assert isinstance(from_problem(document), ServerError)


@pytest.mark.parametrize("error", sorted(set(SENT) - UNSENT, key=str))
def test_what_a_server_sends_comes_back_as_it_was(error: type[ServerError]) -> None:
    found = from_problem(to_problem(error("the rule", retry_after_s=1.5, request_id="r-1")))
    assert type(found) is error
    assert (str(found), found.retry_after_s, found.request_id) == ("the rule", 1.5, "r-1")


def test_what_no_server_sends_comes_back_as_a_refusal() -> None:
    found = from_problem(to_problem(InvalidArticleError("blank"), errors=(Fault(pointer="/text", detail="no words"),)))
    assert type(found) is RequestRejectedError
    assert str(found) == "blank; /text: no words"


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_its_error(kind: str) -> None:
    document = Problem(kind=kind, detail="why").to_dict()
    assert document["status"] == KINDS[kind].status
    found = from_problem(document, server="https://h:1", timeout_s=3)
    assert type(found) is KINDS[kind].error
    assert "https://h:1" in str(found)
    assert "why" in str(found)
    under_a_path = {**document, "type": f"https://h/news{document['type']}"}
    assert type(from_problem(under_a_path)) is type(found)


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ({"type": "/v1/problems/busy"}, ServerOverloadedError),
        ({"type": "/v1/problems/of_a_later_version", "status": 429, "detail": "x"}, RateLimitedError),
        ({"status": 401}, AuthenticationError),
        ({"status": 503, "detail": "x"}, ServerUnavailableError),
        ({"status": 504}, RequestTimeoutError),
        ({"type": "/v1/problems/not_found"}, ModelUnavailableError),
        ({}, UnexpectedResponseError),
        ({"type": 7, "status": "x", "detail": [], "errors": 3, "retry_after_ms": "soon"}, UnexpectedResponseError),
        ({"type": "/v1/problems/busy", "errors": [1, {}], "retry_after_ms": -1, "instance": 3}, ServerOverloadedError),
    ],
)
def test_any_document_becomes_an_error(document: dict[str, Any], error: type[ServerError]) -> None:
    found = from_problem(document)
    assert type(found) is error
    assert found.retry_after_s is None
    assert found.request_id is None


@pytest.mark.parametrize("error", ERRORS)
def test_errors_go_to_other_processes(error: type[InfoLensError]) -> None:
    one = error("why", retry_after_s=2.5, request_id="r-1") if issubclass(error, ServerError) else error("why")
    other = pickle.loads(pickle.dumps(one))
    assert (type(other), str(other), vars(other)) == (error, "why", vars(one))


def test_a_problem_names_a_kind_that_there_is() -> None:
    with pytest.raises(KeyError):
        Problem(kind="mood", detail="x")

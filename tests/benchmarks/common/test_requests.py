"""Requests as bytes, and how a failed one is understood."""

from __future__ import annotations

import grpc
import numpy as np
import pytest
from tritonclient.grpc import service_pb2

from benchmarks.common.articles import kinds, tasks_of
from benchmarks.common.wire import METHOD, RequestOutcome, encode, grpc_address, outcome_of
from infolens import (
    Article,
    Client,
    RequestTimeoutError,
    RetryPolicy,
    ServerError,
    ServerOverloadedError,
)
from infolens.contract import Task
from tests.benchmarks.common.scripted import FAILURES, WAIT_S, Scripted

ARTICLE = Article(text="a goal")


def test_requests_carry_article_settings_and_time_out() -> None:
    article = Article(title="Markets", text="Shares rose — a bit.")
    request = service_pb2.ModelInferRequest.FromString(
        encode(article, kind="info_lens", timeout_s=1.5, settings={"num_beams": 4, "length_penalty": 0.5, "style": 1})
    )
    assert request.model_name == "info_lens"
    assert request.parameters["timeout"].int64_param == 1_500_000
    found = {tensor.name: raw for tensor, raw in zip(request.inputs, request.raw_input_contents, strict=True)}
    assert found["text"][4:].decode() == article.text
    assert found["title"][4:].decode() == article.title
    assert np.frombuffer(found["num_beams"], np.int32).tolist() == [4]
    assert np.frombuffer(found["length_penalty"], np.float32).tolist() == [0.5]
    assert found["style"][4:] == b"extractive"
    alone = service_pb2.ModelInferRequest.FromString(encode(article, kind="summary", timeout_s=1))
    assert (alone.model_name, [tensor.name for tensor in alone.inputs]) == ("summarize", ["text"])


def test_a_further_task_is_asked_as_its_contract_says(sentiment: Task) -> None:
    assert kinds() == ("info_lens", "summary", "category", "veracity", "sentiment")
    assert sentiment not in tasks_of("info_lens")
    encoded = encode(Article(title="Markets", text="Shares rose."), kind="sentiment", timeout_s=1)
    request = service_pb2.ModelInferRequest.FromString(encoded)
    assert (request.model_name, {tensor.name for tensor in request.inputs}) == ("feel", {"text", "title"})


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failure_counts_as_what_the_client_would_raise_for_it(failure: str) -> None:
    with Scripted(lambda _: failure) as server:
        with (
            Client(server.url, retries=RetryPolicy(attempts=1), timeout_s=WAIT_S) as client,
            pytest.raises(ServerError) as raised,
        ):
            client.analyze(ARTICLE)
        with grpc.insecure_channel(grpc_address(server.url)) as channel, pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary(METHOD)(encode(ARTICLE, kind="info_lens", timeout_s=WAIT_S), timeout=WAIT_S)
    meanings = {ServerOverloadedError: RequestOutcome.REFUSED, RequestTimeoutError: RequestOutcome.LATE}
    meant = [outcome for kind, outcome in meanings.items() if isinstance(raised.value, kind)]
    assert outcome_of(caught.value) is (meant or [RequestOutcome.FAILED])[0]

"""Evidence in the real server, with the committed models: what it is, where, and what it must not do to others."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import grpc
import numpy as np
import onnxruntime
import pytest
from tokenizers import Tokenizer
from tritonclient import grpc as triton_grpc

from benchmarks.common.server import Started
from infolens import AsyncClient, Client, Labelled, Report, RetryPolicy, ServerOverloadedError, Task
from reading import sentences
from serving.runtime import ROOT
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.server

BOTH = (Task.CATEGORY, Task.VERACITY)
PLACES = 4
"""Requests for evidence that the door lets in at the same time."""
WAIT_S = 60.0


def labelled(report: Report, task: Task) -> Labelled:
    answer = report.answers[task]
    assert isinstance(answer, Labelled)
    return answer


def article(name: str) -> tuple[str, str]:
    title, _, text = (ROOT / f"tests/articles/{name}.txt").read_text("utf-8").partition("\n\n")
    return title, text.strip()


LONG = " ".join(f"Bridge number {number} over the river was opened by the mayor on Monday." for number in range(200))


@pytest.fixture(params=["grpc", "http"])
def url(request: pytest.FixtureRequest, triton: Started) -> str:
    return {"grpc": triton.grpc_url, "http": triton.http_url}[request.param]


def post(server: Started, **document: Any) -> dict[str, Any]:
    request = urllib.request.Request(
        f"{server.http_url}/v1/analyze", json.dumps(document).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=WAIT_S) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def test_the_answers_are_those_of_a_request_without_it(url: str) -> None:
    title, text = article("fake_health_cure")
    spans = sentences.split(text)
    with Client(url) as client:
        report = client.analyze(text, title=title, evidence=True)
        plain = client.analyze(text, title=title)
    for task in BOTH:
        answer, before = labelled(report, task), labelled(plain, task)
        assert replace(answer, evidence=()) == before
        assert 1 <= len(answer.evidence) <= 3
        weights = [one.weight for one in answer.evidence]
        assert weights == sorted(weights, reverse=True)
        assert 0 < sum(weights) <= 3 * answer.probability
        assert all((one.start, one.end) == spans[one.index] for one in answer.evidence)
    assert report.summary == plain.summary


def test_a_weight_is_what_the_probability_falls_by_where_its_tokens_are_masked(triton: Started) -> None:
    """With ONNX Runtime alone, from the files of the repository."""
    whole_text = article("sports")[1]
    text = whole_text[: sentences.split(whole_text)[1][1]]  # so little that it is one window
    with Client(triton.grpc_url) as client:
        answer = labelled(client.analyze(text, tasks="category", evidence=True), Task.CATEGORY)
    (path,) = sorted(REPOSITORY.glob("distilbert_tokenizer/*/tokenizer.json"))[-1:]
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    encoding = tokenizer.encode(text)
    assert answer.evidence
    (artefact,) = sorted(REPOSITORY.glob("distilbert/*/artefact.json"))[-1:]
    assert len(encoding.ids) == answer.reading.tokens <= json.loads(artefact.read_text(encoding="utf-8"))["window"]
    (graph,) = sorted(REPOSITORY.glob("distilbert/*/model.onnx"))[-1:]
    session = onnxruntime.InferenceSession(str(graph))
    for one in answer.evidence:
        inside = [one.start < end <= one.end for _, end in encoding.offsets]
        assert any(inside)
        ids = np.array([encoding.ids] * 2, np.int32)
        mask = np.array([[1] * len(inside), [not hidden for hidden in inside]], np.int32)
        (whole, without), *_ = session.run(None, {"input_ids": ids, "attention_mask": mask})
        assert one.weight == pytest.approx(whole.max() - without[whole.argmax()], abs=0.02)


def test_characters_are_code_points_of_what_was_sent(triton: Started) -> None:
    text = "😀 The striker 👩‍👩‍👧 scored twice.\r\n\r\n\tA miracle\x00cure that doctors hide. Shares fell on Monday."
    answer = post(triton, text=text, evidence=True)
    entries = [one for task in BOTH for one in answer[task].get("evidence", [])]
    assert entries
    found = {text[one["start"] : one["end"]] for one in entries}
    assert found <= {text[start:end] for start, end in sentences.split(text)}
    with Client(triton.grpc_url) as client:
        report = client.analyze(text, evidence=True)
    assert [one.to_dict() for task in BOTH for one in labelled(report, task).evidence] == entries


def test_an_article_of_one_sentence_has_none_and_one_of_two_hundred_has_some(url: str) -> None:
    with Client(url) as client:
        one = client.analyze("The striker scored twice in the final.", evidence=True)
        assert [labelled(one, task).evidence for task in BOTH] == [(), ()]
        assert one.failed == {}
        many = client.analyze(LONG + " The striker scored a goal.", tasks=BOTH, evidence=True)
    for task in BOTH:
        for entry in labelled(many, task).evidence:
            assert 0 <= entry.start < entry.end <= len(LONG) + 27
    # What cannot be read without a sentence is no evidence of it, and no failure.
    with Client(url) as client:
        assert client.analyze("It rained. 1,234.", tasks=BOTH, evidence=True).failed == {}


def test_rows_of_a_request_have_their_own(triton: Started) -> None:
    texts = [article(name)[1] for name in ("fake_health_cure", "sports")]
    text = triton_grpc.InferInput("text", [2, 1], "BYTES")
    text.set_data_from_numpy(np.array([[one.encode()] for one in texts], np.object_))
    with triton_grpc.InferenceServerClient(triton.grpc_url.removeprefix("grpc://")) as client:
        outputs = [triton_grpc.InferRequestedOutput(name) for name in ("veracity", "evidence")]
        both = client.infer("info_lens", [text], outputs=outputs, parameters={"evidence": True})
        # Who names no outputs has all but the evidence, which is much work: it is asked for by the parameter.
        plain = client.infer("info_lens", [text])
    assert plain.as_numpy("evidence") is None
    assert plain.as_numpy("veracity").tolist() == both.as_numpy("veracity").tolist()
    found = [json.loads(row) for row in both.as_numpy("evidence").ravel()]
    assert [list(one) for one in found] == [["veracity"], ["veracity"]]
    with Client(triton.grpc_url) as client:
        for one, row in zip(texts, found, strict=True):
            alone = client.analyze(one, tasks="veracity", evidence=True).veracity
            assert alone is not None
            assert [entry.to_dict() for entry in alone.evidence] == row["veracity"]


@pytest.mark.parametrize("value", ["yes", 1])
def test_the_parameter_is_a_boolean(triton: Started, value: Any) -> None:
    text = triton_grpc.InferInput("text", [1, 1], "BYTES")
    text.set_data_from_numpy(np.array([[b"It rained."]], np.object_))
    with (
        triton_grpc.InferenceServerClient(triton.grpc_url.removeprefix("grpc://")) as client,
        pytest.raises(triton_grpc.InferenceServerException, match="the request parameter evidence is true or false"),
    ):
        client.infer("info_lens", [text], parameters={"evidence": value})


def test_what_has_no_labels_is_refused_in_its_field(triton: Started) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        post(triton, text="It rained.", tasks=["summary"], evidence=True)
    with caught.value as error:
        document = json.load(error)
    assert error.code in (400, 422)
    assert document["errors"][0]["pointer"] == "/evidence"
    assert "evidence is what moved a label, and summary has none" in document["errors"][0]["detail"]


def test_few_are_found_at_once_and_plain_answers_go_on(triton: Started) -> None:
    _, text = article("fake_health_cure")
    busy = 4 * PLACES
    no_retries = RetryPolicy(attempts=1)
    with Client(triton.grpc_url, retries=no_retries) as client, ThreadPoolExecutor(busy + 4) as pool:

        def ask(*, evidence: bool) -> Report | Exception:
            try:
                return client.analyze(text, evidence=evidence)
            except ServerOverloadedError as error:
                return error

        laborious = [pool.submit(ask, evidence=True) for _ in range(busy)]
        plain = [pool.submit(ask, evidence=False) for _ in range(4)]
        answers = [future.result(WAIT_S) for future in laborious]
        assert all(isinstance(future.result(WAIT_S), Report) for future in plain)
    refused = [answer for answer in answers if isinstance(answer, ServerOverloadedError)]
    assert len(answers) - len(refused) >= PLACES
    assert refused
    assert all("requests for evidence are ahead, and no more than 4 may be" in str(error) for error in refused)
    with Client(triton.http_url) as client:  # rows of a batch wait
        results = list(client.analyze_batch([text] * 6, tasks=BOTH, evidence=True))
    assert all(result.report is not None and labelled(result.report, Task.VERACITY).evidence for result in results)


async def test_a_caller_who_leaves_ends_it_and_gives_the_place_back(triton: Started) -> None:
    _, text = article("fake_health_cure")
    async with AsyncClient(triton.grpc_url, retries=RetryPolicy(attempts=1)) as client:
        for _ in range(3 * PLACES):
            task = asyncio.create_task(client.analyze(text, tasks=BOTH, evidence=True, timeout_s=WAIT_S))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises((asyncio.CancelledError, grpc.aio.AioRpcError)):
                await task
        async with asyncio.timeout(WAIT_S):
            while True:
                try:
                    report = await client.analyze(text, tasks=BOTH, evidence=True)
                    break
                except ServerOverloadedError:
                    await asyncio.sleep(0)
    assert report.veracity is not None
    assert report.veracity.evidence


def test_a_time_that_is_too_short_is_a_time_out(triton: Started) -> None:
    with Client(triton.grpc_url, retries=RetryPolicy(attempts=1)) as client:
        with pytest.raises((TimeoutError, ServerOverloadedError)):
            client.analyze(LONG, tasks=BOTH, evidence=True, timeout_s=0.02)
        assert client.analyze(LONG, tasks=BOTH, evidence=True).veracity is not None


def test_the_classifiers_alone_have_no_evidence(triton: Started) -> None:
    text = triton_grpc.InferInput("text", [1, 1], "BYTES")
    text.set_data_from_numpy(np.array([[b"It rained."]], np.object_))
    with (
        triton_grpc.InferenceServerClient(triton.grpc_url.removeprefix("grpc://")) as client,
        pytest.raises(triton_grpc.InferenceServerException, match="unexpected inference output 'evidence'"),
    ):
        client.infer("verify", [text], outputs=[triton_grpc.InferRequestedOutput("evidence")])

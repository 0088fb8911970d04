"""Under load and abuse: batches that change nothing, settings that do not mix, input that harms nobody."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tritonclient import grpc

from benchmarks.common.server import Started
from infolens import Article, Client, Report, SummaryOptions
from infolens.contract import CONTRACTS, INFO_LENS, MAX_ARTICLE_BYTES, Task

pytestmark = pytest.mark.server

ARTICLES = [
    Article(title=title, text=text)
    for title, _, text in (
        path.read_text(encoding="utf-8").partition("\n\n")
        for path in sorted((Path(__file__).parents[1] / "articles").glob("*.txt"))
    )
]


def counts(triton: Started, model: str) -> tuple[int, int]:
    """How many requests a model has answered, and in how many executions."""
    with grpc.InferenceServerClient(triton.triton_grpc_url.removeprefix("grpc://")) as client:
        stats = client.get_inference_statistics(model).model_stats[0]
    return stats.inference_count, stats.execution_count


def answers(report: Report) -> tuple[str, str, str]:
    assert report.summary is not None
    assert report.category is not None
    assert report.veracity is not None
    return report.summary.text, report.category.label, report.veracity.label


def test_requests_meet_in_batches(triton: Started) -> None:
    # The starters' own graphs are deployed to take whole articles one by one: a core computes two of them no faster
    # together than one after the other. Their tokenizers take what there is.
    tasks = [Task.VERACITY]
    models = [f"{CONTRACTS[task].model}_tokenizer" for task in tasks]
    before = {model: counts(triton, model) for model in models}
    with Client(triton.grpc_url) as client:
        results = list(client.analyze_many([ARTICLES[0]] * 96, tasks=tasks, in_flight=32))
    assert all(isinstance(result, Report) for result in results)
    for model in models:
        inferences, executions = (after - was for after, was in zip(counts(triton, model), before[model], strict=True))
        assert inferences >= 96  # and a probe of the supervisor, if it came just then
        assert executions < inferences, f"{model} never batched"


def test_an_answer_is_the_same_alone_and_in_a_batch(triton: Started) -> None:
    with Client(triton.grpc_url) as client:
        alone = [answers(client.analyze(article)) for article in ARTICLES]
        together = list(client.analyze_many(ARTICLES * 2, in_flight=32))
    found = [answers(result) for result in together if isinstance(result, Report)]
    assert len(found) == 2 * len(ARTICLES)
    differing = [index for index, answer in enumerate(found) if answer != alone[index % len(ARTICLES)]]
    assert not differing


def test_requests_with_different_settings_do_not_mix(triton: Started) -> None:
    choices = [
        SummaryOptions(max_length=16),
        SummaryOptions(num_beams=1),
        SummaryOptions(min_length=120, max_length=160),
        SummaryOptions(),
    ]
    with Client(triton.grpc_url) as client:
        article = ARTICLES[3]
        alone = [client.summarize(article, options=options).text for options in choices]
        assert len(set(alone)) >= 3
        with ThreadPoolExecutor(16) as pool:
            texts = list(
                pool.map(lambda i: client.summarize(article, options=choices[i % len(choices)]).text, range(24))
            )
    assert texts == [alone[i % len(choices)] for i in range(24)]


def post(triton: Started, text: bytes, headers: dict[str, str] | None = None) -> tuple[int, str]:
    """Send a raw body to the model of all tasks; the status and the answer."""
    request = urllib.request.Request(f"{triton.http_url}/v2/models/{INFO_LENS}/infer", text, headers or {})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def send_bytes(triton: Started, text: bytes) -> tuple[int, str]:
    """Send text as bytes, whatever they are, by Triton's binary extension."""
    blob = len(text).to_bytes(4, "little") + text
    tensor = {"name": "text", "shape": [1, 1], "datatype": "BYTES", "parameters": {"binary_data_size": len(blob)}}
    header = json.dumps({"inputs": [tensor]}).encode()
    return post(
        triton,
        header + blob,
        {"Inference-Header-Content-Length": str(len(header)), "Content-Type": "application/octet-stream"},
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "blank"),
        (b" \n\t ", "blank"),
        (b"\x00\x00", "blank"),
        (b"caf\xe9 closes", "UTF-8"),
        (bytes(range(128, 256)), "UTF-8"),
        (b"word " * 200_000, f"{MAX_ARTICLE_BYTES}"),
    ],
    ids=["empty", "blank", "nul only", "latin-1", "binary", "1 MB"],
)
def test_input_that_is_no_article_gets_a_clear_error(triton: Started, text: bytes, message: str) -> None:
    status, answer = send_bytes(triton, text)
    assert status == 400
    assert message.lower() in answer.lower().replace(",", "")
    assert "Traceback" not in answer
    with Client(triton.grpc_url) as client:
        assert answers(client.analyze(ARTICLES[0]))


@pytest.mark.parametrize(
    "text",
    [
        b"One word\x00 and a NUL inside. " * 20,
        "\u202e\u200b\ufeff emoji and scripts \U0001f600 \u4e2d\u6587 \u0645\u0631\u062d\u0628\u0627 ".encode() * 30,
        b"</s><s>[SEP][CLS]<cls><pad> " * 50,
        b"a" * 200_000,
        b"Short.",
    ],
    ids=["NUL", "scripts", "special tokens", "one endless word", "one word"],
)
def test_odd_input_gets_a_sound_answer(triton: Started, text: bytes) -> None:
    status, answer = send_bytes(triton, text)
    assert status == 200, answer
    outputs = {output["name"] for output in json.loads(answer)["outputs"]}
    assert {"summary", "category", "veracity"} <= outputs


def test_a_long_article_says_how_much_was_not_read(triton: Started) -> None:
    with Client(triton.grpc_url) as client:
        report = client.analyze(Article(text=ARTICLES[0].text * 6))
    assert report.truncated
    for reading in report.readings.values():
        assert 0 < reading.truncated_tokens < reading.tokens


def test_settings_out_of_range_are_refused_by_name(triton: Started) -> None:
    body = {
        "inputs": [
            {"name": "text", "shape": [1, 1], "datatype": "BYTES", "data": ["Some words of an article."]},
            {"name": "num_beams", "shape": [1, 1], "datatype": "INT32", "data": [99]},
        ]
    }
    status, answer = post(triton, json.dumps(body).encode())
    assert status == 400
    assert "num_beams" in answer
    assert "99" in answer

"""A summarizer in steps writes what the one of one graph writes, in the real server, whatever runs beside it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pytest
from tritonclient import grpc

from export.graph.precision import Precision
from infolens import Client, SummaryOptions
from serving.launcher import ServerOptions, TritonServer
from tests.conftest import REPOSITORY
from tests.e2e.summarizer.conftest import Written

pytestmark = [pytest.mark.server, pytest.mark.filterwarnings("ignore:Moving the following attributes")]

ARTICLES = [path.read_text(encoding="utf-8") for path in sorted(REPOSITORY.parent.glob("tests/articles/*.txt"))][:8]
OPTIONS = (
    SummaryOptions(),
    SummaryOptions(num_beams=1, min_length=0, max_length=12),
    SummaryOptions(num_beams=8, min_length=60, max_length=90, length_penalty=-2.0),
    SummaryOptions(num_beams=3, max_length=40, length_penalty=2.0),
    SummaryOptions(style="extractive"),
    SummaryOptions(style="extractive", num_beams=4, max_length=64),
    SummaryOptions(temperature=0.8, top_p=0.9, seed=11),
    SummaryOptions(temperature=1.4, seed=12, style="extractive"),
)


@contextmanager
def serving(repository: Path, folder: Path) -> Iterator[TritonServer]:
    options = ServerOptions(
        http_port=0, grpc_port=0, metrics_port=0, repository=repository, log_file=folder / "triton.log"
    )
    with TritonServer(options) as server:
        yield server


LEAST: Final = {Precision.FP32: 1.0, Precision.INT8: 0.8}
"""The share of summaries that are the same. In int8 the two compute sums in another order, and the words of random
weights are near ties."""


class Both(NamedTuple):
    """Clients of two servers, and what both compute in."""

    loop: Client
    step: Client
    precision: Precision


@pytest.fixture(scope="module", params=list(LEAST))
def both(request: pytest.FixtureRequest, written: Written, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    with ExitStack() as stack:
        clients = []
        for form in ("loop", "step"):
            server = stack.enter_context(serving(written(form, request.param), tmp_path_factory.mktemp(form)))
            clients.append(stack.enter_context(Client(server.grpc_url)))
        yield Both(*clients, request.param)


def test_both_forms_write_the_same(both: Both) -> None:
    wishes = [(article, options) for article in ARTICLES[:3] for options in OPTIONS]
    pairs = [
        (both.step.summarize(article, options=options), both.loop.summarize(article, options=options))
        for article, options in wishes
    ]
    assert np.mean([one == other for one, other in pairs]) >= LEAST[both.precision]
    assert len({one.text for one, _ in pairs}) > len(pairs) / 2, "the settings make a difference"


def test_what_runs_beside_it_changes_no_summary(both: Both) -> None:
    """Requests of all settings at once, each answered as it is alone."""
    step = both.step
    wishes = [(article, options) for article in ARTICLES[:4] for options in OPTIONS]
    alone = [step.summarize(article, options=options).text for article, options in wishes]
    order = list(range(len(wishes))) * 3
    random.Random(1).shuffle(order)
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda i: step.summarize(wishes[i][0], options=wishes[i][1]).text, order))
    assert found == [alone[i] for i in order]


@pytest.fixture(scope="module")
def triton(written: Written, tmp_path_factory: pytest.TempPathFactory) -> Iterator[grpc.InferenceServerClient]:
    repository = written("step", Precision.FP32)
    with (
        serving(repository, tmp_path_factory.mktemp("log")) as server,
        grpc.InferenceServerClient(server.grpc_url.removeprefix("grpc://")) as client,
    ):
        yield client


def asked(texts: list[str], **settings: int) -> list[grpc.InferInput]:
    rows = np.array([[text.encode()] for text in texts], np.object_)
    found = [grpc.InferInput("text", [len(texts), 1], "BYTES").set_data_from_numpy(rows)]
    for name, value in settings.items():
        numbers = np.full((len(texts), 1), value, np.int32)
        found.append(grpc.InferInput(name, [len(texts), 1], "INT32").set_data_from_numpy(numbers))
    return found


def test_several_articles_of_a_request_are_answered_together(triton: grpc.InferenceServerClient) -> None:
    texts = ARTICLES[:4]
    together = triton.infer("summarize", asked(texts)).as_numpy("summary")
    alone = [triton.infer("summarize", asked([text])).as_numpy("summary")[0] for text in texts]
    assert together.tolist() == [row.tolist() for row in alone]


def test_the_output_is_as_wide_as_the_longest_summary_may_be(triton: grpc.InferenceServerClient) -> None:
    inputs = triton.infer("bart_tokenizer", asked(ARTICLES[:2], max_length=33))
    names = [tensor.name for tensor in triton.get_model_config("bart").config.input]
    arrays = {name: inputs.as_numpy(name) for name in names}
    types = {"sampling": "FP32", **dict.fromkeys(("input_ids", "attention_mask", "sentence_ends"), "INT32")}
    tensors = [
        grpc.InferInput(name, list(array.shape), types.get(name, "UINT8")).set_data_from_numpy(array)
        for name, array in arrays.items()
    ]
    found = triton.infer("bart", tensors).as_numpy("sequences")
    assert found.shape == (2, 33)
    assert found.dtype == np.int32
    assert found[:, 0].tolist() == [2, 2]

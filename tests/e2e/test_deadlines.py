"""Deadlines travel: what a caller gives the server reaches the queue of the model, through ensembles and fan_out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest
from tritonclient import grpc
from tritonclient.utils import InferenceServerException

from benchmarks.common.server import Started
from infolens import Client, RequestTimeoutError, ServerOverloadedError

pytestmark = pytest.mark.server

TEXT = "The council met on Tuesday to speak about the new bridge over the river and its costs. " * 60
LONG = {"min_length": 256, "max_length": 256, "num_beams": 8}
MANY, ROWS = 6, 2
"""More long requests than `bart` has instances, so that others wait, but no longer than its queue allows."""
TRIES = 10


def request(rows: int, **settings: int) -> list[grpc.InferInput]:
    texts = grpc.InferInput("text", [rows, 1], "BYTES").set_data_from_numpy(
        np.array([[TEXT.encode()]] * rows, np.object_)
    )
    numbers = [
        grpc.InferInput(name, [rows, 1], "INT32").set_data_from_numpy(np.full((rows, 1), value, np.int32))
        for name, value in settings.items()
    ]
    return [texts, *numbers]


def articles(client: grpc.InferenceServerClient) -> int:
    return int(client.get_inference_statistics("bart").model_stats[0].inference_count)


def waiting(client: grpc.InferenceServerClient) -> int:
    """Requests that `summarize` has taken and not answered, those in the queue of `bart` among them."""
    stats = client.get_inference_statistics("bart_tokenizer").model_stats[0]
    return int(stats.inference_stats.success.count)


@contextmanager
def busy(client: grpc.InferenceServerClient) -> Iterator[list[Future[grpc.InferResult]]]:
    """The summarizer works on long requests for as long as the block runs."""
    before = waiting(client)
    with ThreadPoolExecutor(MANY) as pool:
        running = [
            pool.submit(client.infer, "summarize", request(ROWS, **LONG), client_timeout=120) for _ in range(MANY)
        ]
        while waiting(client) < before + MANY and not all(one.done() for one in running):
            wait(running, timeout=0.02)
        yield running
        for one in running:
            one.result()


def end_of(call: Callable[[], object]) -> str:
    """How a request ended, in words."""
    try:
        call()
    except InferenceServerException as error:
        return str(error.message()).lower()
    except (RequestTimeoutError, ServerOverloadedError):
        # The SDK's own time-out, or the server that knows beforehand that it cannot keep it.
        return "request timeout expired"
    return "answered"


def test_a_request_whose_time_is_up_never_reaches_the_model(triton: Started) -> None:
    with (
        grpc.InferenceServerClient(triton.triton_grpc_url.removeprefix("grpc://")) as plain,
        Client(triton.grpc_url) as client,
    ):
        for _ in range(TRIES):
            before = articles(plain)
            with busy(plain) as running:
                ends = [
                    end_of(partial(plain.infer, model, request(1), timeout=30_000, client_timeout=120))
                    for model in ("summarize", "info_lens")
                ]
                answered = articles(plain)
                ends.append(end_of(partial(client.analyze, TEXT, timeout_s=0.05)))
                undisturbed = articles(plain) == answered and not all(one.done() for one in running)
            # Where a long request was over meanwhile, the model had room for the last one before its time was up.
            if undisturbed:
                assert all("timeout expired" in end for end in ends), ends
                assert articles(plain) - before == ROWS * MANY
                return
    pytest.fail(f"in {TRIES} tries a long request was over before the last one was refused")

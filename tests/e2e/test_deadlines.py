"""Deadlines travel: what a caller gives the server reaches the model, through the door, ensembles and fan_out."""

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
"""More long requests, which the model writes word by word, than `bart` has instances: others wait, but no longer than
its queue allows."""
TRIES = 10
EXPIRED = "request timeout expired"


def request(rows: int, **settings: int) -> list[grpc.InferInput]:
    texts = [
        grpc.InferInput(name, [rows, 1], "BYTES").set_data_from_numpy(np.array([[value.encode()]] * rows, np.object_))
        for name, value in {"text": TEXT, **({"style": "free"} if settings else {})}.items()
    ]
    numbers = [
        grpc.InferInput(name, [rows, 1], "INT32").set_data_from_numpy(np.full((rows, 1), value, np.int32))
        for name, value in settings.items()
    ]
    return [*texts, *numbers]


def summarized(client: grpc.InferenceServerClient) -> int:
    """Requests that were answered with a summary. The counters of `bart` count what it drops, and probes."""
    return int(client.get_inference_statistics("summarize").model_stats[0].inference_stats.success.count)


def waiting(client: grpc.InferenceServerClient) -> int:
    """Requests that `summarize` has taken and not answered, those in the queue of `bart` among them."""
    stats = client.get_inference_statistics("bart_tokenizer").model_stats[0]
    return int(stats.inference_stats.success.count)


def settled(client: grpc.InferenceServerClient) -> int:
    """`summarized` once it stands still: Triton counts an answer after it has sent it."""
    last, now = -1, summarized(client)
    while now != last:
        client.infer("classify", request(1))  # takes longer than that
        last, now = now, summarized(client)
    return now


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
        words = str(error.message()).lower()
        return EXPIRED if "the server is busy" in words else words  # it knew beforehand
    except (RequestTimeoutError, ServerOverloadedError):
        # The SDK's own time-out, or the server that knows beforehand that it cannot keep it.
        return EXPIRED
    return "answered"


def test_a_request_whose_time_is_up_never_reaches_the_model(triton: Started) -> None:
    with (
        grpc.InferenceServerClient(triton.triton_grpc_url.removeprefix("grpc://")) as plain,
        grpc.InferenceServerClient(triton.grpc_url.removeprefix("grpc://")) as door,
        Client(triton.grpc_url) as client,
    ):
        for _ in range(TRIES):
            before = settled(plain)
            with busy(plain) as running:
                ends = [
                    end_of(partial(door.infer, model, request(1), timeout=30_000, client_timeout=120))
                    for model in ("summarize", "info_lens")
                ]
                ends.append(end_of(partial(client.analyze, TEXT, timeout_s=0.05)))
                undisturbed = not any(one.done() for one in running)
                # Past the door it is the model that ends it, once it comes to it.
                ends.append(end_of(partial(plain.infer, "info_lens", request(1), timeout=30_000, client_timeout=120)))
            # Where a long request was over meanwhile, the model had room for another before its time was up.
            if undisturbed and ends[-1] != "answered":
                assert all("timeout expired" in end for end in ends), ends
                assert settled(plain) - before == MANY
                return
    pytest.fail(f"in {TRIES} tries there was always room for a request before its time was up")

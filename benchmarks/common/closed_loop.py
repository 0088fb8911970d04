"""Closed loop: a fixed number of users, each of whom sends the next request when the last one was answered."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext

import grpc

from infolens import Article

from .server import BenchmarkError
from .wire import METHOD, RequestOutcome, encode, open_channel, outcome_of, reason_of


def closed_loop_per_s(
    grpc_url: str,
    articles: Iterator[Article],
    *,
    in_flight: int = 16,
    seconds: float = 8.0,
    warmup_s: float = 1.0,
    kind: str = "info_lens",
    settings: Mapping[str, float] | None = None,
    watched: AbstractContextManager[object] | None = None,
) -> float:
    """Answers a second with ``in_flight`` requests under way at any time: what a server can do at all.

    Args:
        grpc_url: The server.
        articles: One for each request; who is refused asks again.
        in_flight: Users, each of whom waits for an answer before the next request.
        seconds: How long answers are counted, after ``warmup_s``.
        warmup_s: Seconds before that, in which nothing is counted.
        kind: One of `benchmarks.common.wire.kinds`.
        settings: How the summary is written, by the names of the contract.
        watched: A context manager that is open while answers are counted.

    Raises:
        BenchmarkError: The server cannot be reached, or fails a request for another reason than being busy.
    """
    timeout_s = 30.0

    async def measure() -> float:
        answered, ended = 0, False
        async with open_channel(grpc_url) as channel:
            infer = channel.unary_unary(METHOD)

            async def user() -> None:
                nonlocal answered
                while not ended:
                    body = encode(next(articles), kind=kind, timeout_s=timeout_s, settings=settings)
                    try:
                        await infer(body, timeout=timeout_s)
                    except grpc.aio.AioRpcError as error:
                        if outcome_of(error) is not RequestOutcome.REFUSED:
                            raise BenchmarkError(
                                f"the server at {grpc_url} failed a request ({reason_of(error)}); look at its log"
                            ) from error
                        await asyncio.sleep(0.01)
                    else:
                        answered += 1

            async def count() -> int:
                nonlocal ended
                await asyncio.sleep(warmup_s)
                with watched or nullcontext():
                    first = answered
                    await asyncio.sleep(seconds)
                    counted = answered - first
                ended = True
                return counted

            users = asyncio.gather(*(user() for _ in range(in_flight)))
            counting = asyncio.create_task(count())
            await asyncio.wait((users, counting), return_when=asyncio.FIRST_EXCEPTION)
            counting.cancel()
            await users
            counted = await counting
        return counted / seconds

    return asyncio.run(measure())

"""The engine's executors beside each other: are their tokens right, and what do a step and a summary take?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.common.shapes import shape_of
from benchmarks.gpu import roofline
from benchmarks.gpu.context import Context
from benchmarks.gpu.engines import devices_of, executor_of, graphs_of, precision_of, summaries
from benchmarks.gpu.models import make_model, random_ids
from benchmarks.gpu.roofline import times_floor
from benchmarks.gpu.summarizer import MODEL_TYPE, Size, exactly, louder
from benchmarks.gpu.timing import synchronize, time_call
from engine.artefact import Artefact
from engine.article import Article, Integers
from engine.executor import Executor
from engine.settings import Bucket, Settings

CHECK: Final = "executor_check"
TABLE: Final = "executors"
_LONGEST: Final = 20
_TOKENS: Final = 24
_END_BIAS: Final = 10.0
"""What makes the end token the best word often enough for searches to end at different lengths."""
_MIXED: Final = (
    Settings(num_beams=4, max_length=9, length_penalty=2.0),
    Settings(num_beams=1, min_length=12, max_length=_LONGEST, no_repeat_ngram_size=3),
    Settings(num_beams=2, max_length=_LONGEST, length_penalty=-1.0, early_stopping="never"),
    Settings(num_beams=3, min_length=5, max_length=15, no_repeat_ngram_size=1, early_stopping=False),
    Settings(num_beams=4, min_length=6, max_length=_LONGEST, length_penalty=0.0, no_repeat_ngram_size=2),
    Settings(num_beams=1, max_length=2),
)
"""Settings of articles that share a step."""
_BEGIN_S: Final = {"torch": 3.0, "cuda": 10.0, "tensorrt": 20.0, "cpu": 0.0}
"""About what a device needs before its first step: graphs are captured, loaded, or built."""
_STEPS: Final = 30


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is timed."""

    sizes: tuple[Size, ...]


_PLAN: Final = Plan(
    sizes=(Size(batch=1), Size(batch=32), Size(batch=8), Size(batch=1, beams=1), Size(batch=32, beams=1))
)
_TOY: Final = Plan(sizes=(Size(batch=1, tokens_in=24, tokens_out=12), Size(batch=3, tokens_in=24, tokens_out=12)))


class DifferentTokensError(Exception):
    """An executor does not write what ``transformers`` writes."""


def run(context: Context) -> None:
    """Check and time every executor that this machine can run; raises `DifferentTokensError` where tokens differ."""
    wrong = _check(context)
    context.attempt(TABLE, "all of them", partial(_time, context))
    if wrong:
        raise DifferentTokensError(f"not the tokens of transformers: {', '.join(wrong)}")


# -- right? ---------------------------------------------------------------------------------------------------------


def _check(context: Context) -> list[str]:
    """Rows for a small model, in fp32 and in what is timed; the devices whose fp32 tokens are wrong."""
    model = _small(context)
    articles = [
        Article(ids=_ids(replace(context, toy=True), _TOKENS - 3 * number), settings=settings)
        for number, settings in enumerate(_MIXED)
    ]
    wanted = [_generate(model, article) for article in articles]
    wrong: list[str] = []
    for precision in dict.fromkeys(("fp32", precision_of(context))):
        with graphs_of(model, precision) as artefact:
            for device in devices_of(context):
                call = partial(_check_one, context, device, artefact, articles, wanted)
                if context.attempt(CHECK, f"{device}, {precision}", call) is False and precision == "fp32":
                    wrong.append(device)
    return wrong


def _check_one(
    context: Context, device: str, artefact: Artefact, articles: Sequence[Article], wanted: Sequence[Integers]
) -> bool:
    bucket = Bucket(slots=len(articles) + 1, beams=4, source_length=_TOKENS, target_length=_LONGEST)
    executor = executor_of(device, artefact, bucket)
    try:
        found = summaries(executor, articles)
    finally:
        executor.close()
    same = [bool(np.array_equal(one, other)) for one, other in zip(found, wanted, strict=True)]
    exact = artefact.precision == "fp32"
    context.row(
        CHECK, device=device, runs_in=executor.name, precision=artefact.precision, summaries=len(same),
        equal=sum(same), passed=all(same) if exact else None,
    )  # fmt: skip
    return all(same)


def _small(context: Context) -> Any:
    model = make_model(replace(context, toy=True), MODEL_TYPE, torch.float32)
    louder(model)
    with torch.no_grad():
        model.final_logits_bias[0, model.config.eos_token_id] = _END_BIAS
    # Each article says these itself.
    model.generation_config.no_repeat_ngram_size = 0
    return model


def _ids(context: Context, tokens: int) -> npt.NDArray[np.int32]:
    found: npt.NDArray[np.int32] = random_ids(context, MODEL_TYPE, 1, tokens)[0].cpu().numpy().astype(np.int32)
    return found


def _generate(model: Any, article: Article) -> Integers:
    """What ``transformers`` writes, padded."""
    settings = article.settings
    searching = {"length_penalty": settings.length_penalty, "early_stopping": settings.early_stopping}
    ids = torch.as_tensor(article.ids, device=model.device).long()[None]
    with torch.no_grad():
        found = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            num_beams=settings.num_beams,
            min_length=settings.min_length,
            max_length=settings.max_length,
            no_repeat_ngram_size=settings.no_repeat_ngram_size,
            **(searching if settings.num_beams > 1 else dict.fromkeys(searching)),
        )
    missing = _LONGEST - found.shape[1]
    padded: Integers = torch.nn.functional.pad(found, (0, missing), value=model.config.pad_token_id)[0].cpu().numpy()
    return padded


# -- how long? ------------------------------------------------------------------------------------------------------


def _time(context: Context) -> None:
    model = make_model(context, MODEL_TYPE, torch.float16 if context.cuda else torch.float32)
    louder(model)
    with graphs_of(model, precision_of(context)) as artefact:
        del model
        context.free()
        # Sizes outside: the time may end at any of them, and each executor then has the first ones.
        for size in (_TOY if context.toy else _PLAN).sizes:
            for device in devices_of(context):
                words = f"{device}, batch {size.batch}, {size.beams} beams"
                call = partial(_time_one, context, device, artefact, size)
                context.attempt(TABLE, words, call, at_least_s=0 if context.toy else _BEGIN_S[device])


def _time_one(context: Context, device: str, artefact: Artefact, size: Size) -> None:
    bucket = Bucket(slots=size.batch, beams=size.beams, source_length=size.tokens_in, target_length=size.tokens_out)
    executor = executor_of(device, artefact, bucket)
    try:
        settings = replace(exactly(size), num_beams=size.beams)
        ids = random_ids(context, MODEL_TYPE, size.batch, size.tokens_in).cpu().numpy().astype(np.int32)
        articles = [Article(ids=row, settings=settings) for row in ids]
        summaries(executor, articles)
        runs = 1 if context.toy else 10
        whole = time_call(lambda: summaries(executor, articles), context.device, warmup=1, runs=runs, limit_s=1.5)
        step_ms = _step_ms(context, executor, articles)
    finally:
        executor.close()
    shape = shape_of(MODEL_TYPE)
    floor_ms = roofline.summary_ms(
        shape, context.sizes(shape), size.batch, size.beams, size.tokens_in, size.tokens_out, artefact.precision,
        context.rates,
    )  # fmt: skip
    context.row(
        TABLE, device=device, runs_in=executor.name, precision=artefact.precision, **size.cells, step_ms=step_ms,
        p50_ms=whole.median_ms, articles_per_s=size.batch / whole.median_ms * 1e3, floor_ms=floor_ms,
        times_floor=times_floor(whole.median_ms, floor_ms),
    )  # fmt: skip


def _step_ms(context: Context, executor: Executor, articles: Sequence[Article]) -> float:
    """A step among others, of slots that all have an article: its shapes are the same whatever they hold."""
    for slot, article in enumerate(articles):
        executor.join(slot, article)
    count = min(_STEPS, articles[0].settings.max_length - 3)

    def steps() -> None:
        for _ in range(count):
            executor.step()
        synchronize(context.device)

    timing = time_call(steps, context.device, warmup=0, runs=1)
    for slot in range(len(articles)):
        executor.leave(slot)
    return timing.median_ms / count

"""The engine with slots under load: articles that are always so many, and articles that come at random moments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import torch

from benchmarks.engine.turns import Turn, take_arrivals, take_turn
from benchmarks.gpu.context import Context
from benchmarks.gpu.engines import devices_of, graphs_of, precision_of
from benchmarks.gpu.models import make_model, random_ids
from benchmarks.gpu.summarizer import MODEL_TYPE, louder
from engine.artefact import Artefact
from engine.article import Article
from engine.opening import EngineOptions, open_engine
from engine.scheduling.engine import Engine
from engine.settings import Settings

TABLE: Final = "arrivals"
_SHARES: Final = (0.5, 0.8, 0.95)
"""Rates of random arrivals, as shares of what the closed loop with the most in flight reached."""
_OPEN_S: Final = {"torch": 10.0, "cuda": 20.0, "tensorrt": 30.0, "cpu": 0.0}
"""About what a device needs before its first article."""
_SEED: Final = 0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The load."""

    slots: int
    beams: int
    tokens_in: tuple[int, int]
    """Articles have so many tokens, evenly drawn between the two."""
    tokens_out: tuple[int, int]
    """Their summaries, likewise."""
    in_flight: tuple[int, ...]
    articles: int
    """How many each load has at most."""


_PLAN: Final = Plan(
    slots=32, beams=4, tokens_in=(128, 512), tokens_out=(30, 90), in_flight=(1, 8, 32, 64), articles=256
)
_TOY: Final = Plan(slots=3, beams=2, tokens_in=(8, 24), tokens_out=(4, 12), in_flight=(1, 6), articles=12)


def run(context: Context) -> None:
    """Open an engine on every device that this machine can run, and load it."""
    plan, precision = _TOY if context.toy else _PLAN, precision_of(context)
    model = make_model(context, MODEL_TYPE, torch.float16 if context.cuda else torch.float32)
    louder(model)
    with graphs_of(model, precision) as artefact:
        del model
        context.free()
        for device in devices_of(context):
            call = partial(_load_one, context, device, artefact, plan)
            context.attempt(TABLE, device, call, at_least_s=0 if context.toy else _OPEN_S[device])


def _articles(context: Context, plan: Plan) -> list[Article]:
    rng = np.random.default_rng(_SEED)
    (shortest, longest), (fewest, most) = plan.tokens_in, plan.tokens_out
    found = []
    for _ in range(plan.articles):
        tokens, count = int(rng.integers(shortest, longest + 1)), int(rng.integers(fewest, most + 1))
        ids = random_ids(context, MODEL_TYPE, 1, tokens)[0].cpu().numpy().astype(np.int32)
        settings = Settings(
            num_beams=plan.beams, min_length=count, max_length=count, length_penalty=2.0, no_repeat_ngram_size=3
        )
        found.append(Article(ids=ids, settings=settings))
    return found


def _load_one(context: Context, device: str, artefact: Artefact, plan: Plan) -> None:
    articles = _articles(context, plan)
    options = EngineOptions(
        device=device,
        workers=1,
        slots=plan.slots,
        beams=(plan.beams,),
        source_length=plan.tokens_in[1],
        target_length=plan.tokens_out[1],
        max_waiting=len(articles),
    )
    engine = open_engine(artefact.folder, options)
    try:
        take_turn(engine, articles[: 2 * plan.slots], plan.slots)  # What is captured or built at the first need is.
        highest_per_s = 0.0
        for in_flight in plan.in_flight:
            count = min(len(articles), 16 * in_flight)
            turn = _row(context, device, engine, plan, f"{in_flight} in flight", count,
                        partial(take_turn, engine, articles[:count], in_flight))  # fmt: skip
            highest_per_s = max(highest_per_s, turn.per_s)
        for share in _SHARES:
            per_s = share * highest_per_s
            _row(context, device, engine, plan, f"random, {share:.0%} of the highest rate", len(articles),
                 partial(take_arrivals, engine, articles, per_s, np.random.default_rng(_SEED)))  # fmt: skip
    finally:
        engine.close()


def _row(
    context: Context, device: str, engine: Engine, plan: Plan, load: str, articles: int, call: Callable[[], Turn]
) -> Turn:
    before = engine.statistics()
    turn = call()
    after = engine.statistics()
    steps = after.steps - before.steps
    context.row(
        TABLE, device=device, load=load, articles=articles, slots=plan.slots, beams=plan.beams,
        articles_per_s=turn.per_s, p50_ms=turn.percentile_ms(50), p99_ms=turn.percentile_ms(99),
        busy_slots=(after.slot_steps - before.slot_steps) / steps if steps else None,
    )  # fmt: skip
    return turn

"""A store that is filled with made-up feedback."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final

from serving.errors import FeedbackError
from serving.feedback.demo import Model, made_up

if TYPE_CHECKING:
    from serving.feedback.store import FeedbackStore

_AT_ONCE: Final = 2000
_TELL_EVERY_S: Final = 5.0
_PATIENCE_S: Final = 10.0


def models_of(server: str) -> tuple[Model, ...]:
    """The models that a server serves, and for each a revision before it.

    Args:
        server: Its HTTP address.

    Raises:
        FeedbackError: It cannot be asked, or is another kind of server.
    """
    url = f"{server.rstrip('/')}/v1/models"
    if not url.startswith(("http://", "https://")):
        raise FeedbackError(f"--server is an HTTP address such as http://127.0.0.1:8000, not '{server:.80}'")
    try:
        with urllib.request.urlopen(url, timeout=_PATIENCE_S) as answer:  # noqa: S310 - http or https
            served = json.load(answer)["models"]
        return tuple(
            Model(
                task=one["task"],
                model=one["model"],
                version=one["version"],
                labels=tuple(one["labels"] or ()),
                revisions=("demo00000001", one["revision"]),
            )
            for one in served
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FeedbackError(
            f"{url} does not tell the models of an Info Lens server ({type(error).__name__}: {error}): see that it "
            "runs, and wants no key"
        ) from None


def fill(
    store: FeedbackStore,
    *,
    predictions: int,
    ratings: int,
    days: int,
    models: Sequence[Model],
    tell: Callable[[str], None],
) -> None:
    """Fill a store with made-up feedback.

    Args:
        store: It holds nothing yet: what nobody said must not stand beside what people did.
        predictions: How many.
        ratings: How many.
        days: They are of so many days, up to now.
        models: Which are said to have answered.
        tell: Gets lines on how far it is.

    Raises:
        FeedbackError: There is something in the store.
    """
    if store.contents().submissions:
        raise FeedbackError(
            f"{store.shown} holds ratings already, and made-up ones would stand among them: name a new store with "
            "--feedback-url, such as sqlite:////tmp/demo.sqlite3"
        )
    now_us = time.time_ns() // 1000
    entries = made_up(predictions=predictions, ratings=ratings, days=days, now_us=now_us, models=models)
    done, told_s = 0, time.monotonic()
    while some := tuple(islice(entries, _AT_ONCE)):
        store.write(some)
        done += len(some)
        if time.monotonic() - told_s > _TELL_EVERY_S:
            told_s = time.monotonic()
            tell(f"{done:,} of {predictions + ratings:,}")
    tell(f"{store.shown} has {predictions:,} made-up predictions and {ratings:,} made-up ratings")

"""What a summarizer is tested with: an engine that answers when it is told to, and requests as Triton has them."""

from __future__ import annotations

import json
import queue
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from google.protobuf.json_format import MessageToDict

from engine.artefact import Artefact
from engine.article import Article, Spacing
from engine.scheduling.statistics import Statistics
from engine.settings import Architecture, Rules
from export.repository.configs import all_configs
from export.repository.deployment import DEPLOYMENT, Deployment
from infolens.contract import SUMMARY_SETTINGS, Task
from tests.export.repository.artefacts import artefact

WAIT_S = 30.0
WORDS = np.arange(20, dtype=np.int32)
ARTEFACT = Artefact(
    folder=Path(),
    precision="int8",
    architecture=Architecture(
        width=8,
        encoder_layers=1,
        decoder_layers=1,
        encoder_heads=1,
        decoder_heads=1,
        vocabulary=20,
        positions=512,
        activation="gelu",
        scale_embedding=False,
    ),
    rules=Rules(start_token=2, end_tokens=(2,), pad_token=1, first_token=0, last_token=2),
    no_repeat_ngram_size=3,
    early_stopping=True,
    spacing=Spacing(spaced=WORDS, unspaced=WORDS),
)


def config(deployment: Deployment = DEPLOYMENT, **changes: Any) -> dict[str, Any]:
    """A configuration as the export writes it and Triton hands it over; None takes a parameter out."""
    facts = artefact(Task.SUMMARY)
    facts = type(facts)(**{**vars(facts), "quotes": True, "form": "step"})
    found: dict[str, Any] = MessageToDict(
        all_configs({"bart": facts}, deployment)["bart"], preserving_proto_field_name=True
    )
    for tensor in (*found["input"], *found["output"]):
        tensor["dims"] = [int(dim) for dim in tensor["dims"]]
    for name, text in changes.items():
        key = name.replace("__", ".")
        if text is None:
            del found["parameters"][key]
        else:
            found["parameters"][key] = {"string_value": text}
    return found


def tensors(*articles: list[int], length: int = 8, **settings: float) -> dict[str, npt.NDArray[Any]]:
    """The inputs of a request of some articles: padded, free and searched for."""
    rows = len(articles)
    ids, mask = np.full((rows, length), 1, np.int32), np.zeros((rows, length), np.int32)
    for row, tokens in enumerate(articles):
        ids[row, : len(tokens)], mask[row, : len(tokens)] = tokens, 1
    found: dict[str, npt.NDArray[Any]] = {
        "input_ids": ids,
        "attention_mask": mask,
        "sentence_ends": np.zeros((rows, 1), np.int32),
        "sampling": np.zeros((rows, 1), np.float32),
    }
    for setting in SUMMARY_SETTINGS:
        if setting.by_length:
            count = setting.encode(settings.get(setting.name, setting.default))
            found[setting.name] = np.zeros((rows, count), np.uint8)
    return found


@dataclass(eq=False)
class Sender:
    """Where a request's answer goes."""

    sent: queue.SimpleQueue[Any] = field(default_factory=queue.SimpleQueue)
    cancelled: bool = False
    asked: int = 0

    def send(self, response: Any, flags: int) -> None:
        self.sent.put(response)

    def is_cancelled(self) -> bool:
        self.asked += 1
        return self.cancelled

    def answer(self) -> Any:
        """The response, once it is there."""
        return self.sent.get(timeout=WAIT_S)

    def told(self) -> tuple[str, str]:
        """The code and the words of the error that is the answer."""
        error = self.answer().error
        return error.code, error.message


@dataclass(eq=False)
class Request:
    """A request as Triton hands it over."""

    given: dict[str, npt.NDArray[Any]]
    notes: dict[str, Any] = field(default_factory=dict)
    timeout_us: int = 0
    sender: Sender = field(default_factory=Sender)

    def inputs(self) -> list[Any]:
        return [_Tensor(name, array) for name, array in self.given.items()]

    def parameters(self) -> str:
        return json.dumps(self.notes) if self.notes else ""

    def timeout(self) -> int:
        return self.timeout_us

    def get_response_sender(self) -> Sender:
        return self.sender


@dataclass
class _Tensor:
    called: str
    array: npt.NDArray[Any]

    def name(self) -> str:
        return self.called

    def as_numpy(self) -> npt.NDArray[Any]:
        return self.array


@dataclass(kw_only=True)
class Held:
    """An article that was handed in."""

    article: Article
    answer: Callable[[Any], None]
    deadline_s: float | None
    is_cancelled: Callable[[], bool] | None


class StandingEngine:
    """Answers nothing by itself but warm-ups: a test answers what is in ``held``."""

    def __init__(self) -> None:
        self.held: list[Held] = []
        self.refuses: Exception | None = None
        self.warming = True
        self.closed = False

    def submit(
        self,
        article: Article,
        answer: Callable[[Any], None],
        deadline_s: float | None = None,
        is_cancelled: Callable[[], bool] | None = None,
    ) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.held.append(Held(article=article, answer=answer, deadline_s=deadline_s, is_cancelled=is_cancelled))
        if self.warming:
            answer(np.array([2, 0, 2], np.int64))

    def statistics(self) -> Statistics:
        numbers = dict.fromkeys(Statistics.__dataclass_fields__, 0)
        return Statistics(**{**numbers, "waiting": len(self.held)})

    def close(self) -> None:
        self.closed = True

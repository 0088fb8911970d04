"""What is asked in a soak: all routes of the door, over and over in the same order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.common.articles import kinds, model_of, tasks_of
from infolens import InfoLensError, Task
from infolens.contract import CONTRACTS, INFO_LENS, TEXT, TITLE

from .asking import Connections, Known, WrongAnswerError, check, told

MANY: Final = 3
"""Articles of a question that has several."""
ALL: Final = tasks_of(INFO_LENS)


@dataclass(frozen=True, kw_only=True)
class Question:
    """One kind of request."""

    name: str
    articles: int
    """How many articles it asks about; 0 for one about the server, or one that must be refused."""
    ask: Callable[[Connections, Sequence[Known]], None]
    """Asks, and checks the answer; whatever is wrong is raised, as `asking.result_of` knows it."""


def mixture() -> tuple[Question, ...]:
    """The questions in the order in which every user asks them; then it begins again.

    Their order is fixed, and so is their share: the last minutes of a soak ask what the first ones asked.
    """
    tasks = [kind for kind in kinds() if kind != INFO_LENS and Task(kind) in ALL]
    rounds = [
        [_by_client("gRPC", INFO_LENS), *(_by_client("gRPC", task) for task in tasks)],
        [_by_client("gRPC", INFO_LENS), _many(), _plain_infer(INFO_LENS, 1), _by_client("HTTP", INFO_LENS)],
        [_by_client("gRPC", INFO_LENS), *(_plain_generate(task) for task in tasks), _health()],
        [_by_client("gRPC", INFO_LENS), _by_client("HTTP", tasks[-1]), _plain_infer(tasks[0], 1), _broken()],
        [_by_client("gRPC", INFO_LENS), _plain_infer(INFO_LENS, 2), _plain_generate(INFO_LENS), _about()],
        [_by_client("HTTP", INFO_LENS), *(_plain_infer(task, 1) for task in tasks[1:]), _status("gRPC")],
        [_by_client("gRPC", INFO_LENS), _many(), _plain_infer(INFO_LENS, 1), _unknown(), _status("HTTP")],
    ]
    return tuple(question for one in rounds for question in one)


def _by_client(protocol: str, kind: str) -> Question:
    def ask(door: Connections, known: Sequence[Known]) -> None:
        client = {"gRPC": door.grpc, "HTTP": door.http}[protocol]
        (one,) = known
        check(one, told(client.analyze(one.article, tasks=tasks_of(kind))), tasks_of(kind))

    return Question(name=f"client, {protocol}: {kind}", articles=1, ask=ask)


def _many() -> Question:
    def ask(door: Connections, known: Sequence[Known]) -> None:
        found = door.grpc.analyze_many([one.article for one in known], in_flight=MANY)
        for one, report in zip(known, found, strict=True):
            if isinstance(report, InfoLensError):
                raise report
            check(one, told(report), ALL)

    return Question(name=f"client, gRPC: {MANY} articles at once", articles=MANY, ask=ask)


def _inputs(kind: str, known: Sequence[Known]) -> dict[str, list[str]]:
    """The inputs of a request of one kind, a row for each article."""
    inputs = {TEXT.name: [one.article.text for one in known]}
    if any(TITLE.name in CONTRACTS[task].reads for task in tasks_of(kind)):
        inputs[TITLE.name] = [one.article.title or "" for one in known]
    return inputs


def _check_rows(known: Sequence[Known], kind: str, columns: Mapping[str, Sequence[str]]) -> None:
    for row, one in enumerate(known):
        answers = {task: columns[task.value][row] for task in tasks_of(kind) if len(columns.get(task.value, ())) > row}
        check(one, answers, tasks_of(kind))


def _plain_infer(kind: str, articles: int) -> Question:
    def ask(door: Connections, known: Sequence[Known]) -> None:
        inputs = [
            {"name": name, "datatype": "BYTES", "shape": [len(values), 1], "data": values}
            for name, values in _inputs(kind, known).items()
        ]
        answer = door.post(f"/v2/models/{model_of(kind)}/infer", {"inputs": inputs})
        columns: dict[str, Any] = {output["name"]: output["data"] for output in answer["outputs"]}
        _check_rows(known, kind, columns)

    return Question(
        name=f"/infer, JSON: {kind}{f', {articles} rows' if articles > 1 else ''}", articles=articles, ask=ask
    )


def _plain_generate(kind: str) -> Question:
    def ask(door: Connections, known: Sequence[Known]) -> None:
        inputs = {name: values[0] for name, values in _inputs(kind, known).items()}
        answer = door.post(f"/v2/models/{model_of(kind)}/generate", inputs)
        _check_rows(known, kind, {task.value: [answer[task.value]] for task in tasks_of(kind) if task.value in answer})

    return Question(name=f"/generate: {kind}", articles=1, ask=ask)


def _health() -> Question:
    def ask(door: Connections, _: Sequence[Known]) -> None:
        for path in ("/v2/health/live", "/v2/health/ready", f"/v2/models/{INFO_LENS}/ready"):
            door.get(path)

    return Question(name="health", articles=0, ask=ask)


def _about() -> Question:
    def ask(door: Connections, _: Sequence[Known]) -> None:
        for path in ("/v2", *(f"/v2/models/{INFO_LENS}{part}" for part in ("", "/config", "/stats"))):
            door.get(path)

    return Question(name="metadata, configuration, statistics", articles=0, ask=ask)


def _status(protocol: str) -> Question:
    def ask(door: Connections, _: Sequence[Known]) -> None:
        status = {"gRPC": door.grpc, "HTTP": door.http}[protocol].status()
        if not status.ready:
            away = sorted(name for name, ready in status.models.items() if not ready)
            raise WrongAnswerError(f"the server says that it is not ready: {', '.join(away) or 'as a whole'}")

    return Question(name=f"client, {protocol}: status", articles=0, ask=ask)


def _broken() -> Question:
    def ask(door: Connections, _: Sequence[Known]) -> None:
        door.refused(f"/v2/models/{INFO_LENS}/infer", b'{"inputs": [{"name": "text", "datatype": "BYTES", "sha', 400)

    return Question(name="broken JSON, to be refused", articles=0, ask=ask)


def _unknown() -> Question:
    def ask(door: Connections, _: Sequence[Known]) -> None:
        door.refused("/v2/models/no_such_model/infer", b'{"inputs": []}', 404)

    return Question(name="an unknown model, to be refused", articles=0, ask=ask)

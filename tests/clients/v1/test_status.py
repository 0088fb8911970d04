"""What a front door tells of itself over HTTP: the supervisor's view, models and revisions."""

from __future__ import annotations

import json
from typing import Any

import pytest

import infolens.cli
from infolens import AsyncClient, Client, ServedTask
from infolens._calls import entries
from tests.clients.v1.server import Script, v1_server

V2: dict[str, tuple[int, Any]] = {
    "/v2": (200, {"name": "triton", "version": "9.9"}),
    "/v2/health/live": (200, {}),
    "/v2/health/ready": (200, {}),
}
MODELS = ("bart_tokenizer", "bart", "bart_text", "summarize", *("distilbert_tokenizer", "distilbert"))
MODELS += ("distilbert_labels", "classify", "xlnet_tokenizer", "xlnet", "xlnet_labels", "verify", "info_lens")
READY = {**V2, **{f"/v2/models/{model}/ready": (200, {}) for model in MODELS}}
LISTED = {
    "models": [
        {
            "task": "summary",
            "name": "summarize",
            "model": "bart",
            "version": "1",
            "revision": "0f3c12ab34cd",
            "labels": None,
            "max_tokens": 1024,
            "is": "a few sentences",
            "is_not": "a fact check",
            "card": "/v1/models/summary/card",
        },
        {"task": "category", "model": "distilbert", "version": 1, "revision": "aa", "labels": ["Sports", "Other"]},
    ],
    "limits": {},
}
AWAY = {"ready": False, "reason": "xlnet is restarted", "models": {"xlnet": {"ready": False, "reason": "it\nhung"}}}


def script(ready: tuple[int, Any], models: tuple[int, Any]) -> Script:
    return Script(documents={**READY, "/readyz": ready, "/v1/models": models})


async def test_the_supervisors_view_and_the_models() -> None:
    assert set(entries()) < set(MODELS)
    with v1_server(script((503, AWAY), (200, LISTED))) as url:
        with Client(url) as client:
            status = client.status()
        async with AsyncClient(url) as async_client:
            assert await async_client.status() == status
    assert (status.live, status.server_ready, status.ready) == (True, False, False)
    assert status.reason == "xlnet is restarted"
    assert status.reasons == {"xlnet": "it\nhung"}
    assert [model for model, ready in status.models.items() if not ready] == ["xlnet"]
    assert status.labels == {"category": ("Sports", "Other")}
    assert status.tasks["summary"] == ServedTask(
        task="summary",
        model="bart",
        version="1",
        revision="0f3c12ab34cd",
        max_tokens=1024,
        what_it_is="a few sentences",
        what_it_is_not="a fact check",
        card="/v1/models/summary/card",
    )
    assert status.tasks["category"].version == "1"


NOTHING: list[Any] = [
    (404, {"error": "Not Found"}),
    (200, []),
    (200, {"ready": "yes", "models": {"x": 1}}),
    (403, None),
]


@pytest.mark.parametrize("document", NOTHING)
def test_servers_that_tell_nothing_are_as_ready_as_triton_says(document: tuple[int, Any]) -> None:
    with v1_server(script(document, document)) as url, Client(url) as client:
        status = client.status()
    assert status.ready
    assert (status.reason, status.reasons, status.tasks) == ("", {}, {})


def test_the_command_shows_it(capsys: pytest.CaptureFixture[str]) -> None:
    with v1_server(script((503, AWAY), (200, LISTED))) as url:
        assert infolens.cli.main(["status", "--server", url]) == 3
        out = capsys.readouterr().out
        assert infolens.cli.main(["status", "--server", url, "--json"]) == 3
        document = json.loads(capsys.readouterr().out)
    for words in (
        "xlnet is restarted",
        "NOT READY: it hung",
        "  summary: bart version 1, revision 0f3c12ab34cd, reads 1,024 tokens",
        "category: Sports | Other",
    ):
        assert words in out
    assert document["tasks"]["summary"]["revision"] == "0f3c12ab34cd"
    assert document["tasks"]["summary"]["is_not"] == "a fact check"
    assert document["reasons"] == {"xlnet": "it\nhung"}
    with v1_server(script((200, {"ready": True, "reason": "", "models": {}}), (200, LISTED))) as url:
        assert infolens.cli.main(["status", "--server", url]) == 0

"""Where a served model comes from, over both doors, and what of its folder makes its revision."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
from tritonclient.grpc import service_pb2

from infolens import AsyncClient, Lineage
from infolens._commands.render import status_text
from infolens.contract import SERVED_PARAMETER
from serving.gateway.api.examples import ANALYZED
from serving.gateway.api.models_answer import ModelsAnswer
from tests.serving.gateway.http.running import FakeTriton, RunningDoor, fake_door
from tests.serving.gateway.scripted import REPOSITORY, Door, ScriptedTriton, opened, options

TOLD: Final[dict[str, Any]] = {
    "source": "registry", "registered_model": "category", "registered_version": "3", "run_id": "76d3", "base": "bert",
    "data_hash": {"train": "aa", "test": "bb"}, "recipe_hash": "cc", "git_revision": "dd",
    "test": {"macro_f1": 0.842}, "baseline": {"macro_f1": 0.767}, "tested_on": 41, "articles": "many", "new": 1,
}  # fmt: skip
"""As an artefact may have it: with a value of another form, and one of a later export."""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """The committed models, of which one says where it comes from."""
    folder = tmp_path / "model_repository"
    shutil.copytree(REPOSITORY, folder, ignore=shutil.ignore_patterns("*.onnx"))
    path = folder / "distilbert" / "1" / "artefact.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "lineage": TOLD}))
    return folder


@pytest.fixture
async def both_doors(tmp_path: Path, repository: Path) -> AsyncIterator[Door]:
    """Both doors before a Triton that is made up."""
    async with (
        ScriptedTriton().listening() as triton,
        opened(options(tmp_path, triton, repository=repository)) as door,
    ):
        yield door


async def test_the_sdk_is_told_over_both_protocols(both_doors: Door) -> None:
    found = {}
    for scheme in ("grpc", "http"):
        async with AsyncClient(f"{scheme}://127.0.0.1:{both_doors.ports[f'{scheme}_port']}") as client:
            found[scheme] = await client.status()
    assert found["grpc"].tasks == found["http"].tasks
    assert list(found["grpc"].tasks) == ["summary", "category", "veracity"]
    category = found["grpc"].tasks["category"]
    assert (category.model, category.version, len(category.revision)) == ("distilbert", "1", 12)
    assert category.lineage == Lineage(
        registered_model="category", registered_version="3", run_id="76d3", base="bert", recipe_hash="cc",
        data_hash={"train": "aa", "test": "bb"}, git_revision="dd", test={"macro_f1": 0.842},
        baseline={"macro_f1": 0.767},
    )  # fmt: skip
    assert found["grpc"].tasks["summary"].lineage is None
    shown = status_text("a server", found["grpc"])
    assert f"category: distilbert version 1, revision {category.revision}, reads 240 tokens\n" in shown
    assert "from version 3 of category; run 76d3; base bert; code dd; test macro_f1 0.842, baseline 0.767" in shown
    assert json.loads(json.dumps(found["grpc"].to_dict()))["tasks"]["category"]["lineage"]["test"] == TOLD["test"]


async def test_only_the_ensembles_of_tasks_say_it_in_their_configurations(both_doors: Door) -> None:
    said = {}
    for name in ("classify", "info_lens"):
        asked = service_pb2.ModelConfigRequest(name=name)
        config = service_pb2.ModelConfigResponse.FromString(await both_doors.call("ModelConfig", asked)).config
        said[name] = config.parameters[SERVED_PARAMETER].string_value if SERVED_PARAMETER in config.parameters else ""
    assert json.loads(said["classify"])["lineage"]["registered_version"] == "3"
    assert said["info_lens"] == ""


def test_the_json_api_tells_what_it_describes(tmp_path: Path, fake: FakeTriton, repository: Path) -> None:
    with fake_door(tmp_path, fake, repository=repository) as door:
        listed = door.ask("GET", "/v1/models").json
        config = door.ask("GET", "/v2/models/classify/config").json
        revision = revisions(door)["distilbert"]
        (repository / "distilbert" / "1" / "README.md").write_text("the card of an older version")
        asyncio.run_coroutine_threadsafe(door.parts.catalogue.refresh(), door.loop).result()
        assert revisions(door)["distilbert"] == revision
    ModelsAnswer.model_validate(listed)
    lineage = {one["task"]: one["lineage"] for one in listed["models"]}
    assert lineage["veracity"] is None
    known = {name: value for name, value in TOLD.items() if name not in ("articles", "new")}
    assert lineage["category"].items() >= known.items()
    assert (lineage["category"]["articles"], lineage["category"]["licence"], "new" in lineage["category"]) == (
        {}, "", False,
    )  # fmt: skip
    assert json.loads(config["parameters"][SERVED_PARAMETER]["string_value"]) == listed["models"][1]


def test_the_committed_models_keep_their_revisions(tmp_path: Path, fake: FakeTriton) -> None:
    with fake_door(tmp_path, fake) as door:
        assert revisions(door) == {one["model"]: one["revision"] for one in ANALYZED["models"].values()}


def revisions(door: RunningDoor) -> dict[str, str]:
    return {one["model"]: one["revision"] for one in door.ask("GET", "/v1/models").json["models"]}

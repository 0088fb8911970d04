"""Models that cannot be loaded, and models that are loaded anew: the others serve, and all stays as it was."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import pytest
from google.protobuf import json_format

from serving.errors import StartError
from serving.supervisor.patience import Patience
from tests.serving.supervisor.running import Running, supervised, until, write_sleeper

pytestmark = pytest.mark.server


@pytest.fixture
def own(repository: Path, tmp_path: Path) -> Path:
    """A repository to spoil."""
    return Path(shutil.copytree(repository, tmp_path / "own"))


def test_the_others_serve_when_a_model_cannot_be_loaded(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = own / "vote" / "1" / "model.onnx"
    whole = file.read_bytes()
    file.write_bytes(b"not a model")
    with supervised(own, tmp_path, patience=Patience(retry_s=1.0, ask_s=0.2)) as running:
        state = running.state
        ill = {name for name, told in state["models"].items() if not told["ready"]}
        assert ill == {"vote", "verify", "info_lens"}
        for name in ill:
            assert "model.onnx is damaged or not an ONNX model" in state["models"][name]["reason"]
        assert state["ready"], "the others serve"
        assert "vote: " in state["reason"]
        assert running.ask("summarize") is not None
        assert running.ask("verify") is None
        assert "WARNING: model vote cannot be loaded and is not served" in capsys.readouterr().err

        file.write_bytes(whole)
        until(lambda: all(told["ready"] for told in running.state["models"].values()))
        assert running.state["reason"] == ""
        assert running.ask() is not None
        assert running.state["triton"]["restarts"] == 0


def test_a_start_fails_when_no_model_can_be_loaded(own: Path, tmp_path: Path) -> None:
    for model in set(own.iterdir()) - {own / "vote"}:
        shutil.rmtree(model)
    (own / "vote" / "1" / "model.onnx").write_bytes(b"not a model")
    with (
        pytest.raises(StartError, match=r"model vote cannot be loaded: .*damaged or not an ONNX model"),
        supervised(own, tmp_path),
    ):
        pass


def served(running: Running, model: str) -> dict[str, object]:
    """Its configuration, without what a heal leaves in it."""
    client = running.supervisor.server.client()
    try:
        document = json_format.MessageToDict(client.config(model, 5.0).result().config)
    finally:
        client.close()
    document.pop("ccModelFilenames", None)
    return dict(document)


def test_a_heal_changes_neither_configuration_nor_version(own: Path, tmp_path: Path) -> None:
    write_sleeper(own)
    config = own / "sleeper" / "config.pbtxt"
    (own / "sleeper" / "configs").mkdir()
    mine = config.read_text().replace("max_batch_size: 8", "max_batch_size: 3")
    (own / "sleeper" / "configs" / "mine.pbtxt").write_text(mine)
    with supervised(own, tmp_path, config_name="mine") as running:
        before = {name: served(running, name) for name in running.state["models"]}
        assert before["sleeper"]["maxBatchSize"] == 3
        # An export that has only begun: the newer version is no part of what is served.
        shutil.copytree(own / "sleeper" / "1", own / "sleeper" / "2")
        config.write_text("broken")
        for _ in range(2):
            heals = running.state["heals"]
            running.kill("sleeper", signal.SIGKILL)
            until(lambda heals=heals: running.state["heals"] > heals and running.state["ready"])
        after = {name: served(running, name) for name in running.state["models"]}
        assert after["sleeper"].pop("versionPolicy") == {"specific": {"versions": ["1"]}}
        assert {stub.version for stub in running.stubs("sleeper")} == {"1"}
        before["sleeper"].pop("versionPolicy")
        assert after == before
        assert json.dumps(running.ask("sleeper", b"x"), default=str) == json.dumps({"answer": [[b"x"]]}, default=str)


@pytest.mark.long
def test_a_model_that_cannot_be_healed_does_not_take_the_others_with_it_for_good(own: Path, tmp_path: Path) -> None:
    with supervised(own, tmp_path) as running:
        (own / "vote" / "1" / "model.onnx").write_bytes(b"not a model")
        running.kill("vote")
        until(lambda: running.state["triton"]["restarts"] == 1 and running.state["ready"])
        assert not running.state["models"]["verify"]["ready"]
        assert running.ask("summarize") is not None

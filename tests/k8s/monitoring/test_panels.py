"""Every query of every panel, asked of a real Prometheus that has scraped a real server under load: none is empty."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from infolens import Article, Client, InfoLensError
from k8s.monitoring.boards.panels import Board, Panel
from k8s.monitoring.files import BOARDS, HERE
from serving.processes import stubs_of
from serving.runtime import ROOT
from tests.clients.loopback import free_port
from tests.k8s.monitoring.queries import asked

pytestmark = pytest.mark.system

DEADLINE_S = 150.0
PANELS = [(board, panel) for board in BOARDS for panel in board.panels if not panel.only_gpu]
PROMETHEUS = shutil.which("prometheus")


def until(condition: Callable[[], Any], what: str) -> Any:
    """What a condition says once it says something."""
    end = time.monotonic() + DEADLINE_S
    while not (found := condition()):
        assert time.monotonic() < end, f"waited too long for {what}"
        time.sleep(0.2)
    return found


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)


@contextmanager
def running(command: list[str], log: Path, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process with all that it starts, ended with the block."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, start_new_session=True, **options
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def served(folder: Path, stack: ExitStack) -> tuple[dict[str, Any], str]:
    """A server that asks for keys, keeps feedback and audits every article of the page; and a key."""
    environment = {
        **os.environ,
        "INFOLENS_KEYS_URL": f"sqlite:///{folder / 'keys.db'}",
        "INFOLENS_FEEDBACK_URL": f"sqlite:///{folder / 'feedback.db'}",
        "INFOLENS_FEEDBACK_SPOOL": str(folder / "spool"),
    }
    words = [sys.executable, "-m", "serving", "keys", "create", "desk", "--role", "read"]
    made = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=True)
    key = next(word for word in made.stdout.split() if word.startswith("il_"))
    ready = folder / "ready.json"
    ports = [word for kind in ("http", "grpc", "metrics") for word in (f"--{kind}-port", "0")]
    command = [sys.executable, "-m", "serving", *ports, "--keys", "--audit-share", "1"]
    command += ["--ready-file", str(ready)]
    process = stack.enter_context(running(command, folder / "server.log", env=environment))
    until(lambda: ready.exists() or process.poll() is not None, "the server")
    assert ready.exists(), (folder / "server.log").read_text()
    return json.loads(ready.read_text()), key


def scraping(folder: Path, stack: ExitStack, targets: dict[str, str]) -> str:
    """Prometheus with the committed configuration, but for the targets and how often they are asked; its address."""
    config = yaml.safe_load((HERE / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    for job in config["scrape_configs"]:
        job.pop("file_sd_configs", None)
        job.pop("scrape_interval", None)
        job["static_configs"] = [{"targets": [targets[job["job_name"]]]}]
    config["rule_files"] = [str(HERE / "prometheus" / "rules" / "*.yaml")]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{free_port()}"
    command = [str(PROMETHEUS), f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'tsdb'}"]
    stack.enter_context(running([*command, f"--web.listen-address={address}"], folder / "prometheus.log"))
    return f"http://{address}"


@contextmanager
def ray(folder: Path) -> Iterator[int]:
    """A Ray of its own; the port of its metrics."""
    port = free_port()
    environment = {**os.environ, "RAY_TMPDIR": str(folder)}
    command = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", "--port=0", "--num-cpus=1"]
    command += [f"--metrics-export-port={port}", "--include-dashboard=false", "--disable-usage-stats"]
    # Ports of workers that cannot be the one of the metrics.
    command += [f"--temp-dir={folder}", "--min-worker-port=0", "--max-worker-port=0"]
    with running(command, folder.with_suffix(".log"), env=environment):
        yield port


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Prometheus that looks on while a server has good and bad moments."""
    if PROMETHEUS is None:
        pytest.skip("no prometheus: apt-get install prometheus")
    folder = tmp_path_factory.mktemp("watched")
    with ExitStack() as stack:
        # Ray's sockets want a short path.
        short = stack.enter_context(_short_folder())
        ray_port = stack.enter_context(ray(short / "ray"))
        ready, key = served(folder, stack)
        load_port = free_port()
        metrics = urllib.parse.urlsplit(ready["metrics_url"]).netloc
        targets = {"infolens-door": metrics, "infolens-triton": metrics, "infolens-load": f"127.0.0.1:{load_port}"}
        address = scraping(folder, stack, {**targets, "ray": f"127.0.0.1:{ray_port}"})
        load = [sys.executable, "-m", "benchmarks", "load", "--rate", "5", "--seconds", "90", "--warmup-s", "1"]
        load += ["--server", ready["grpc_url"], "--metrics-port", str(load_port), "--out", str(folder / "load")]
        stack.enter_context(running(load, folder / "load.log", env={**os.environ, "INFOLENS_API_KEY": key}))
        ask(ready, key)
        yield address


@contextmanager
def _short_folder() -> Iterator[Path]:
    import tempfile

    with tempfile.TemporaryDirectory(prefix="il") as folder:
        yield Path(folder)


def ask(ready: dict[str, Any], key: str) -> None:
    """Whatever the load does not: HTTP, a batch, refusals, a model that dies."""
    texts = ["The striker scored a goal in the final.", "12345 67890"]
    with Client(ready["http_url"], api_key=key) as client:
        client.analyze("The council voted on the budget for the harbour.")
        list(client.analyze_batch([Article(text=text) for text in texts]))
        with pytest.raises(InfoLensError):
            client.analyze("Too late.", timeout_s=0.001)
    rate(ready["http_url"], key)
    stub = next(one for one in stubs_of(ready["server_pid"]) if one.model == "xlnet_labels")
    os.kill(stub.pid, signal.SIGKILL)


def rate(url: str, key: str) -> None:
    """Stars, a label, and a blind audit."""

    def post(path: str, **document: Any) -> Any:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        asked = urllib.request.Request(f"{url}{path}", json.dumps(document).encode(), headers)
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return json.load(answer)

    seen = post("/v1/analyze", text="The keeper saved a penalty in the last minute of the match.")["prediction"]
    post("/v1/feedback", prediction=seen, ratings={"summary": {"stars": 4}, "category": {"right": True}})
    blind = post("/v1/analyze", text="The senate voted on the new budget of the harbour town.", audit=True)
    assert blind["audit"]["tasks"]
    post(f"/v1/predictions/{blind['prediction']}/audit", labels={"category": "Politics"})


@pytest.mark.parametrize(("board", "panel"), PANELS, ids=[f"{board.uid}-{panel.title}" for board, panel in PANELS])
def test_a_panel_is_not_empty(prometheus: str, board: Board, panel: Panel) -> None:
    for expression, _ in panel.queries:
        asking = f"{prometheus}/api/v1/query?{urllib.parse.urlencode({'query': asked(expression)})}"
        until(lambda asking=asking: get(asking)["data"]["result"], expression)


def test_nothing_fires_that_a_well_server_does_not_deserve(prometheus: str) -> None:
    """Of what needs no minutes to fire."""
    until(lambda: get(f"{prometheus}/api/v1/rules")["data"]["groups"][0]["lastEvaluation"] > "1", "the rules")
    groups = get(f"{prometheus}/api/v1/rules")["data"]["groups"]
    assert [rule["name"] for group in groups for rule in group["rules"] if rule["health"] == "err"] == []
    assert get(f"{prometheus}/api/v1/alerts")["data"]["alerts"] is not None

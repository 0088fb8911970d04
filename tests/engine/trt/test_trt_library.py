"""Where TensorRT is missing, old or broken, and plans that are kept."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.artefact import ENCODER, PLAIN, STEP, Artefact
from engine.executor import UnavailableError
from engine.trt import plans as kept
from engine.trt.executor import open_executor
from engine.trt.library import Library, load_library
from engine.trt.plans import Target, plans
from tests.export.graph.rows import tiny_bart

from .made import BUCKET, artefact_of

GPU = Target(name="GPU", compute_capability="8.9")
LIBRARY = Library(module=SimpleNamespace(__name__="tensorrt_rtx_bindings", __version__="1.7"), logger=None)
Installed = Callable[..., None]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Installed]:
    """Makes modules of TensorRT the only ones there are; an exception is one that cannot be loaded."""

    def install(**modules: Any) -> None:
        def imported(name: str) -> Any:
            found = modules.get(name, ModuleNotFoundError(f"No module named {name!r}"))
            if isinstance(found, Exception):
                raise found
            return found

        monkeypatch.setattr(importlib, "import_module", imported)

    load_library.cache_clear()
    yield install
    load_library.cache_clear()


def module(name: str, version: str, **network: Any) -> SimpleNamespace:
    class Logger:
        Severity = SimpleNamespace(WARNING=2)

    definition = SimpleNamespace(**network)
    return SimpleNamespace(__name__=name, __version__=version, INetworkDefinition=definition, ILogger=Logger)


def test_the_wheels_are_named_where_there_is_none(installed: Installed) -> None:
    installed()
    with pytest.raises(UnavailableError, match=r"is not installed: install tensorrt-cu13, .*tensorrt-rtx-cu13-libs"):
        load_library()


def test_an_old_and_a_broken_one_are_told(installed: Installed) -> None:
    broken = ImportError("libtensorrt_rtx.so.1: cannot open shared object file")
    installed(tensorrt=module("tensorrt", "10.9"), tensorrt_rtx_bindings=broken)
    with pytest.raises(UnavailableError, match=r"tensorrt 10.9 cannot .*; tensorrt_rtx_bindings cannot be loaded"):
        load_library()


def test_the_complete_one_comes_first(installed: Installed) -> None:
    both = {name: module(name, "11.0", add_kv_cache_update=None) for name in ("tensorrt", "tensorrt_rtx_bindings")}
    installed(**both)
    assert load_library().version == "tensorrt 11.0"
    load_library.cache_clear()
    installed(tensorrt_rtx_bindings=both["tensorrt_rtx_bindings"])
    assert load_library().version == "tensorrt_rtx 11.0"


@pytest.fixture(scope="module")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> Artefact:
    return artefact_of(tiny_bart(), tmp_path_factory.mktemp("engine") / "fp16", "fp16")


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bytes]]:
    """What is built, and the timings that it is given."""
    found: list[tuple[str, bytes]] = []

    def build(library: Library, graph: bytes, path: Path, precision: str, *, timings: bytes) -> tuple[bytes, bytes]:
        found.append((path.name, timings))
        return f"plan of {path.name}".encode(), timings + b"."

    monkeypatch.setattr(kept, "build_plan", build)
    return found


def test_plans_are_built_once(artefact: Artefact, built: list[tuple[str, bytes]], tmp_path: Path) -> None:
    folder = tmp_path / "plans"
    first = plans(artefact, BUCKET, LIBRARY, GPU, folder)
    assert first == {name: f"plan of {name}".encode() for name in (ENCODER, STEP, PLAIN)}
    # Each knows what the one before it has measured.
    assert built == [(ENCODER, b""), (STEP, b"."), (PLAIN, b"..")]
    assert plans(artefact, BUCKET, LIBRARY, GPU, folder) == first
    assert len(built) == 3
    assert not [file for file in folder.iterdir() if file.name.startswith(".")]


@pytest.mark.parametrize(
    ("bucket", "version", "gpu"),
    [
        (replace(BUCKET, slots=4), "1.7", GPU),
        (BUCKET, "1.8", GPU),
        (BUCKET, "1.7", replace(GPU, compute_capability="12.0")),
        (BUCKET, "1.7", replace(GPU, name="Another")),
    ],
)
def test_what_a_plan_depends_on_makes_another(
    artefact: Artefact, built: list[tuple[str, bytes]], tmp_path: Path, bucket: Any, version: str, gpu: Target
) -> None:
    plans(artefact, BUCKET, LIBRARY, GPU, tmp_path)
    other = replace(LIBRARY, module=SimpleNamespace(__name__="tensorrt_rtx", __version__=version))
    plans(artefact, bucket, other, gpu, tmp_path)
    assert len(built) == 6


def test_another_model_makes_another_plan(artefact: Artefact, built: list[tuple[str, bytes]], tmp_path: Path) -> None:
    plans(artefact, BUCKET, LIBRARY, GPU, tmp_path / "plans")
    other = artefact_of(tiny_bart(init_std=0.5), tmp_path / "other", "fp16")
    plans(other, BUCKET, LIBRARY, GPU, tmp_path / "plans")
    assert len(built) == 6


def test_a_model_in_int8_is_refused(artefact: Artefact, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is in int8, which is for CPUs: export it with --precision fp16 or bf16"):
        plans(replace(artefact, precision="int8"), BUCKET, LIBRARY, GPU, tmp_path)


def test_no_gpu_is_told(
    artefact: Artefact, installed: Installed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    installed(tensorrt=module("tensorrt", "11.0", add_kv_cache_update=None))
    with pytest.raises(UnavailableError, match="PyTorch finds no GPU here"):
        open_executor(artefact, BUCKET, tmp_path)


def test_how_long_a_build_took_is_logged(
    artefact: Artefact, built: list[tuple[str, bytes]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="engine.trt.plans"):
        plans(artefact, BUCKET, LIBRARY, GPU, tmp_path)
    assert [record.getMessage().rsplit(" in ", 1)[0] for record in caplog.records] == [
        f"built {name} for GPU 8.9" for name in (ENCODER, STEP, PLAIN)
    ]

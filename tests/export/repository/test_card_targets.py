"""A model's card says what it runs on, and why not elsewhere."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from export.repository.model_card import card_text
from infolens.contract import Task
from infolens.targets import Target
from tests.export.repository.artefacts import artefact

GPUS = "NVIDIA's GPUs (`--target cuda`)"


def runs_on(task: Task, **facts: Any) -> str:
    text = card_text("some", 1, replace(artefact(task), **facts))
    (row,) = [line for line in text.splitlines() if line.startswith("| Runs on |")]
    return row.removeprefix("| Runs on |").removesuffix("|").strip()


@pytest.mark.parametrize("task", list(Task))
def test_int8_is_for_cpus(task: Task) -> None:
    told = runs_on(task)
    assert told.startswith("CPUs; not with `--target cuda`: ")
    assert told.count("not in int8") == 2


def test_a_graph_of_labels_is_for_the_target_that_it_was_written_for() -> None:
    told = runs_on(Task.CATEGORY, precision="fp16", target=Target.CUDA.value)
    assert told.startswith(GPUS)
    assert "not with `--target cpu`: its graph was written for cuda" in told
    assert "not with `--target tensorrt`: its graph was written for cuda" in told


def test_steps_in_floating_point_are_for_all() -> None:
    told = runs_on(Task.SUMMARY, precision="fp16", form="step", target=Target.CUDA.value)
    assert told == f"CPUs and {GPUS} and NVIDIA's GPUs with TensorRT (`--target tensorrt`)"
    assert "not with `--target cpu`" in runs_on(Task.SUMMARY, precision="bf16", form="step")

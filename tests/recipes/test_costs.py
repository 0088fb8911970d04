"""The operations of an article that the README's estimates rest on are those of the full-size architectures."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.common.fixtures import FULL
from benchmarks.common.shapes import shape_of
from infolens.contract import CONTRACTS, Task
from serving.runtime import ROOT

TEXT = (ROOT / "recipes" / "README.md").read_text(encoding="utf-8")
ROW = r"^\| {task}, ([\d,]+) tokens(?: in, (\d+) out)? \| ([\d.]+) \|"


@pytest.mark.slow
@pytest.mark.parametrize("task", [Task.SUMMARY, Task.CATEGORY, Task.VERACITY])
def test_the_operations_of_an_article_are_counted(task: Task) -> None:
    """A way back takes twice what the way forward does, but for the first layer's input."""
    found = re.search(ROW.format(task=task.value), TEXT, re.MULTILINE)
    assert found is not None
    tokens_in, tokens_out, stated_tflop = int(found[1].replace(",", "")), int(found[2] or 0), float(found[3])
    shape, library = shape_of(CONTRACTS[task].architecture), import_module("transformers")
    model = getattr(library, shape.model_class)(
        getattr(library, shape.config_class)(**shape.sizes[FULL], **shape.settings)
    )
    inputs: dict[str, Any] = {"input_ids": torch.full((1, tokens_in), 7)}
    if tokens_out:
        inputs["decoder_input_ids"] = torch.full((1, tokens_out), 7)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        model.train()(**inputs)
    assert 3 * counter.get_total_flops() / 1e12 == pytest.approx(stated_tflop, rel=0.05)

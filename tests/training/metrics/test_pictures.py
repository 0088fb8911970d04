"""The pictures of a run show all that they are made of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from training.metrics.pictures import draw

HISTORY = [{"step": 4, "loss": 2.0}, {"step": 4, "eval_loss": 1.9, "eval_macro_f1": 0.3}]


def _pixels(place: Path, name: str, *, confidence: float, history: list[dict[str, Any]]) -> NDArray[np.uint8]:
    """A picture of a run on two labels whose articles all have one confidence, and are right that often."""
    place.mkdir()
    bins = [{"articles": 10, "confidence": confidence, "accuracy": confidence}]
    test = {
        "articles": 10, "macro_f1": 0.5, "calibration_error": 0.0, "reliability": bins,
        "per_class": {"real": {}, "fake": {}}, "confusion": [[5, 0], [1, 4]],
    }  # fmt: skip
    metrics = {"task": "veracity", "base": "starter", "steps": 4, "test": {**test, "accuracy": 0.9}}
    (place / "metrics.json").write_text(json.dumps(metrics))
    (place / "history.json").write_text(json.dumps(history))
    draw(place)
    return np.asarray(Image.open(place / "plots" / f"{name}.png").convert("RGB"))


def _blue(pixels: NDArray[np.uint8]) -> int:
    return int((np.abs(pixels.astype(int) - (0x1F, 0x5F, 0xA8)).max(axis=-1) < 8).sum())


@pytest.mark.parametrize("confidence", [0.0, 1.0])
def test_a_dot_on_the_corner_is_whole(confidence: float, tmp_path: Path) -> None:
    inside = _blue(_pixels(tmp_path / "inside", "calibration", confidence=0.5, history=HISTORY))
    corner = _blue(_pixels(tmp_path / "corner", "calibration", confidence=confidence, history=HISTORY))
    assert corner == pytest.approx(inside, rel=0.02)


def test_a_run_with_one_logged_loss_shows_it(tmp_path: Path) -> None:
    without = _pixels(tmp_path / "without", "loss", confidence=0.5, history=HISTORY[1:])
    one = _pixels(tmp_path / "one", "loss", confidence=0.5, history=HISTORY)
    grey = [int((np.abs(p.astype(int) - (0x8A, 0x8F, 0x98)).max(axis=-1) < 8).sum()) for p in (without, one)]
    assert grey[1] > grey[0] + 50

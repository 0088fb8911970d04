"""The artefact of a small BART, as the export writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.artefact import Artefact, read
from engine.article import Spacing
from engine.settings import Architecture, Bucket, Rules
from export.graph.checkpoint_weights import CheckpointWeights
from export.graph.step.files import write_engine
from tests.export.graph.rows import END, PAD, spacing

RULES = Rules(start_token=END, end_tokens=(END,), pad_token=PAD, first_token=0, last_token=END)
BUCKET = Bucket(slots=3, beams=4, source_length=48, target_length=20)


def artefact_of(model: Any, folder: Path, precision: str = "fp32", *, window: int = 0) -> Artefact:
    forms = spacing()
    folder.mkdir()
    write_engine(
        folder,
        CheckpointWeights(model.state_dict()),
        Architecture.of(model.config.to_dict(), window=window),
        RULES,
        precision,
        spacing=Spacing(spaced=forms.spaced, unspaced=forms.unspaced),
    )
    return read(folder)

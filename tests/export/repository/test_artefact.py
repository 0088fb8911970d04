"""``artefact.json``: what old ones mean, and what no new one may say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from export.errors import RepositoryError
from export.repository.artefact import read_artefact
from infolens.contract import Task
from tests.export.repository.artefacts import artefact


def written(folder: Path, **facts: Any) -> Path:
    """The file of a summarizer, with facts changed, or left out where they are None."""
    document = json.loads(artefact(Task.SUMMARY).to_json()) | facts
    path = folder / "artefact.json"
    path.write_text(json.dumps({key: value for key, value in document.items() if value is not None}), encoding="utf-8")
    return path


def test_an_artefact_of_before_is_free_quotes_nothing_and_has_no_windows(tmp_path: Path) -> None:
    old = read_artefact(written(tmp_path, style=None, quotes=None, window=None))
    assert (old.style, old.quotes, old.window) == ("free", False, 0)


def test_a_new_artefact_reads_back(tmp_path: Path) -> None:
    new = read_artefact(written(tmp_path, style="extractive", quotes=True, window=100))
    assert (new.style, new.quotes, new.window) == ("extractive", True, 100)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"style": "loose"}, "style free or extractive, not 'loose'"),
        ({"style": "extractive"}, "style extractive needs a graph with quotes"),
        ({"quotes": "yes"}, "quotes is true or false"),
        ({"window": 200}, r"window divides max_tokens \(300\) or is 0, not 200"),
        ({"window": -1}, "or is 0, not -1"),
        ({"window": 1.5}, "or is 0, not 1.5"),
    ],
)
def test_what_no_graph_can_is_told(tmp_path: Path, facts: dict[str, Any], message: str) -> None:
    with pytest.raises(RepositoryError, match=message):
        read_artefact(written(tmp_path, **facts))

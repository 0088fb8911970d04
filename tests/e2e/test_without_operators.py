"""The committed models on ONNX Runtime's own operators, as on a machine without a compiler, against the native ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.common.server import Started
from infolens import Article, Client
from serving.launcher import ServerOptions, TritonServer
from serving.runtime import ROOT

ARTICLES = ("sports", "business")


def report(url: str, name: str) -> tuple[str, str, str, float]:
    title, _, text = (ROOT / "tests" / "articles" / f"{name}.txt").read_text(encoding="utf-8").partition("\n\n")
    with Client(url, timeout_s=60) as client:
        found = client.analyze(Article(title=title, text=text))
    assert found.summary is not None
    assert found.category is not None
    assert found.veracity is not None
    return found.summary.text, found.category.label, found.veracity.label, found.category.probability


@pytest.mark.server
def test_the_answers_are_the_same(triton: Started, tmp_path: Path) -> None:
    options = ServerOptions(http_port=0, grpc_port=0, metrics_port=0, log_file=tmp_path / "triton.log", operators=False)
    with TritonServer(options) as standard:
        for name in ARTICLES:
            summary, *labels, probability = report(standard.grpc_url, name)
            native_summary, *native_labels, native_probability = report(triton.grpc_url, name)
            assert labels == native_labels
            assert probability == pytest.approx(native_probability, abs=0.02)
            # Both round differently, and a near tie may be decided the other way.
            assert set(summary.split()) & set(native_summary.split())

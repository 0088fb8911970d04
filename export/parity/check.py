"""The parity check: an exported graph must answer as its checkpoint does in ``transformers``.

The graph is fed as the server feeds it: the served ``tokenizer.json``, padding to the length buckets, and batches of
articles of unequal lengths. The fp32 graph is always held to the strict limits (token for token, probabilities to
1e-4), so a mistake in the graph cannot hide behind the looser limits of int8.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from export.checkpoint.checkpoint import Checkpoint
from export.checkpoint.tokenization import Batch, Padding, encode
from export.errors import CheckpointError, ParityError
from export.graph.precision import Precision
from infolens.contract import AnswerKind
from inspection.errors import first_line

from .articles import ARTICLES
from .classifiers import ClassifierReference
from .reference import Encode, Feeds, Reference, Run, reference_inputs
from .report import ParityReport
from .summaries import SummaryReference
from .tolerances import Tolerances

Running = Callable[[Path, Path | None], AbstractContextManager[Run]]
"""Loads the model in a file or folder, with the library of native operators if there is one, for a ``with`` block."""
_REFERENCES: Final[dict[AnswerKind, Callable[[Checkpoint, Encode, Sequence[str]], Reference]]] = {
    AnswerKind.TEXT: SummaryReference.of,
    AnswerKind.LABELS: ClassifierReference.of,
}
"""Makes the reference of a checkpoint, by the kind of its answers."""


def reference_of(
    checkpoint: Checkpoint, tokenizer_json: str, padding: Padding, *, articles: Sequence[str] = ARTICLES
) -> Reference:
    """Ask a checkpoint for its answers.

    Args:
        checkpoint: The reference.
        tokenizer_json: The text of the served ``tokenizer.json``.
        padding: How the server pads.
        articles: Texts to compare on.

    Raises:
        ParityError: The served tokenizer and the checkpoint's own differ.
        CheckpointError: The checkpoint gives no answers.
    """
    _require_same_ids(checkpoint, tokenizer_json, padding, articles)

    def served(texts: Sequence[str]) -> Batch:
        return encode(tokenizer_json, texts, padding, max_tokens=checkpoint.max_tokens)

    try:
        return _REFERENCES[checkpoint.architecture.answers](checkpoint, served, articles)
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{checkpoint.source!r}: transformers itself gets no answer of it ({type(error).__name__}: "
            f"{first_line(error)}); if its config.json was changed, put that back, or save the model again"
        ) from error


@contextmanager
def running_graph(model: Path, operators: Path | None) -> Iterator[Run]:
    """A graph in a session of its own; see `check_graph`."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    # An arena keeps the memory of its largest batch; the few batches here gain nothing from it.
    options.enable_cpu_mem_arena = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if operators is not None:
        options.register_custom_ops_library(str(operators))
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def run(feeds: Feeds) -> npt.NDArray[Any]:
        output: npt.NDArray[Any] = session.run(None, feeds)[0]
        return output

    yield run


def check_graph(
    report: ParityReport,
    reference: Reference,
    precision: Precision,
    model: Path,
    *,
    tolerances: Tolerances | None = None,
    operators: Path | None = None,
    running: Running = running_graph,
) -> float:
    """Compare a graph with the answers of its checkpoint, fed as the server feeds it.

    Args:
        report: Gets the measured values.
        reference: The answers.
        precision: The graph's precision, which has limits of its own.
        model: The graph's file, or the folder of an engine.
        tolerances: The limits; the project's by default.
        operators: The library of native operators; without it ONNX Runtime runs the graph's functions.
        running: Loads the model.

    Returns:
        The time to load the graph, in seconds.
    """
    start = time.perf_counter()
    with running(model, operators) as run:
        load_s = time.perf_counter() - start
        name = f"{precision}_native" if operators else str(precision)
        reference.compare(report, precision, name, run, tolerances or Tolerances())
    return load_s


def _require_same_ids(checkpoint: Checkpoint, tokenizer_json: str, padding: Padding, articles: Sequence[str]) -> None:
    """Compare the served tokenizer with the checkpoint's own, special tokens and truncation included."""
    for text in articles:
        served = encode(tokenizer_json, [text], padding, max_tokens=checkpoint.max_tokens)
        for name, tensor in reference_inputs(checkpoint, text).items():
            if name not in served:
                continue
            own = tensor.numpy()[0]
            row = served[name][0]
            found = row[-len(own) :] if padding.side == "left" else row[: len(own)]
            if not np.array_equal(found, own):
                raise ParityError(
                    f"the served tokenizer and the checkpoint's own differ in {name} on {text[:40]!r}...: "
                    f"{_ends(found)} and {_ends(own)}. The checkpoint's tokenizer must add the special tokens of its "
                    "architecture by itself (a post-processor in its tokenizer.json)"
                )


def _ends(row: npt.NDArray[Any]) -> str:
    shown = [str(int(token)) for token in row]
    return f"[{' '.join(shown)}]" if len(shown) <= 8 else f"[{' '.join(shown[:4])} ... {' '.join(shown[-4:])}]"

"""The parity check: an exported graph must answer as its checkpoint does in ``transformers``.

The check sees what the server sees: the served ``tokenizer.json``, the padding to length buckets and batches of
unequal articles. The fp32 graph is always held to the strict rule (token for token, probabilities to 1e-4), so a
mistake in the graph cannot hide behind the looser limits of int8.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import torch

from infolens.contract import INPUT_IDS, SUMMARY_SETTINGS, Task

from .articles import ARTICLES
from .checkpoint import Checkpoint
from .errors import ParityError
from .graph import Precision
from .tokenization import Batch, Padding, encode

_LOG = logging.getLogger(__name__)

_SUMMARY_CASES: Final[tuple[dict[str, float], ...]] = (
    {},
    {"num_beams": 1, "min_length": 0, "max_length": 24},
    {"num_beams": 2, "length_penalty": 2.0, "min_length": 8, "max_length": 40},
    {"num_beams": 3, "length_penalty": -1.0, "min_length": 12, "max_length": 12},
)
"""Settings of the beam search under which summaries are compared; what is missing has the contract's default."""


@dataclass(frozen=True, kw_only=True)
class Tolerances:
    """How far an export may be from its checkpoint."""

    probability_fp32: float = 1e-4
    """Largest difference of a probability, fp32."""
    probability_int8: float = 0.1
    """Largest difference of a probability, int8."""
    mean_probability_int8: float = 0.02
    """Mean difference of the probabilities, int8."""
    agreement_int8: float = 0.9
    """Share of articles with the same answer, int8; articles on which the checkpoint itself wavers do not count."""
    token_f1_int8: float = 0.75
    """Mean token F1 between the int8 summaries and the checkpoint's."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One line of the table."""

    name: str
    """A key in words joined by underscores."""
    value: float
    limit: float
    at_least: bool
    """Whether ``limit`` is the least value that passes; otherwise it is the greatest."""

    @property
    def passed(self) -> bool:
        """Whether the value keeps the limit; NaN never does."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit


@dataclass(kw_only=True)
class Parity:
    """The outcome of a parity check."""

    checks: list[Check] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)

    def figures(self) -> dict[str, float]:
        """The measured values by name, for the artefact."""
        return {check.name: round(check.value, 7) for check in self.checks}

    def table(self) -> str:
        """The checks as text, one a line."""
        rows = [("check", "measured", "limit", "")]
        for check in self.checks:
            limit = f"{'>=' if check.at_least else '<='} {check.limit:g}"
            rows.append((check.name, f"{check.value:.3g}", limit, "ok" if check.passed else "FAILED"))
        widths = [max(len(row[i]) for row in rows) for i in range(3)]
        return "\n".join(
            "  ".join((*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[3])).rstrip() for row in rows
        )

    def most(self, name: str, value: float, limit: float) -> None:
        """Record a value that may be ``limit`` at most."""
        self.checks.append(Check(name=name, value=float(value), limit=limit, at_least=False))

    def least(self, name: str, value: float, limit: float) -> None:
        """Record a value that must be ``limit`` at least."""
        self.checks.append(Check(name=name, value=float(value), limit=limit, at_least=True))


def check_parity(
    checkpoint: Checkpoint,
    graphs: dict[Precision, bytes | str],
    tokenizer_json: str,
    padding: Padding,
    *,
    tolerances: Tolerances | None = None,
    articles: Sequence[str] = ARTICLES,
) -> Parity:
    """Compare graphs with their checkpoint.

    Args:
        checkpoint: The reference.
        graphs: The graph of each precision to check, serialised or as the path of a file.
        tokenizer_json: The text of the served ``tokenizer.json``.
        padding: How the server pads.
        tolerances: The limits; the project's by default.
        articles: Texts to compare on.
    """
    parity = Parity()
    limits = tolerances or Tolerances()
    _require_same_ids(checkpoint, tokenizer_json, padding, articles)
    compare = _compare_summaries if checkpoint.task is Task.SUMMARY else _compare_probabilities
    compare(parity, checkpoint, _Served(checkpoint, graphs, tokenizer_json, padding), limits, articles)
    return parity


class _Served:
    """The exported graphs, fed as the server feeds them."""

    def __init__(
        self, checkpoint: Checkpoint, graphs: dict[Precision, bytes | str], tokenizer_json: str, padding: Padding
    ) -> None:
        self.precisions = tuple(graphs)
        self._checkpoint, self._tokenizer, self._padding = checkpoint, tokenizer_json, padding
        options = ort.SessionOptions()
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        providers = ["CPUExecutionProvider"]
        self._sessions = {key: ort.InferenceSession(graph, options, providers) for key, graph in graphs.items()}

    def encode(self, texts: Sequence[str]) -> Batch:
        return encode(
            self._tokenizer,
            texts,
            self._padding,
            max_tokens=self._checkpoint.max_tokens,
            with_types=self._checkpoint.task is Task.VERACITY,
        )

    def run(self, precision: Precision, feeds: dict[str, npt.NDArray[Any]]) -> npt.NDArray[Any]:
        output: npt.NDArray[Any] = self._sessions[precision].run(None, feeds)[0]
        return output


def _require_same_ids(checkpoint: Checkpoint, tokenizer_json: str, padding: Padding, articles: Sequence[str]) -> None:
    """Compare the served tokenizer with the checkpoint's own, special tokens and truncation included."""
    with_types = checkpoint.task is Task.VERACITY
    for text in articles:
        served = encode(tokenizer_json, [text], padding, max_tokens=checkpoint.max_tokens, with_types=with_types)
        for name, tensor in _reference_inputs(checkpoint, text).items():
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


def _reference_inputs(checkpoint: Checkpoint, text: str) -> dict[str, torch.Tensor]:
    encoded = checkpoint.tokenizer(text, truncation=True, max_length=checkpoint.max_tokens, return_tensors="pt")
    return dict(encoded)


# -- classifiers ------------------------------------------------------------------------------------------------


def _compare_probabilities(
    parity: Parity, checkpoint: Checkpoint, served: _Served, limits: Tolerances, articles: Sequence[str]
) -> None:
    reference = np.concatenate(list(_reference_probabilities(checkpoint, articles)))
    ordered = np.sort(reference, axis=1)
    decided = (ordered[:, -1] - ordered[:, -2]) > limits.probability_int8
    # Three batches, from short to all: each is padded to another bucket, the last one to the model's limit.
    sizes = sorted({max(1, len(articles) // 3), max(1, 2 * len(articles) // 3), len(articles)})
    for precision in served.precisions:
        strict = precision is Precision.FP32
        worst, together = 0.0, reference
        for size in sizes:
            together = served.run(precision, served.encode(articles[:size]))
            worst = max(worst, float(np.abs(together - reference[:size]).max()))
        last = served.encode(articles)
        alone = np.concatenate(
            [
                served.run(precision, {key: array[i : i + 1] for key, array in last.items()})
                for i in range(len(articles))
            ]
        )
        allowed = limits.probability_fp32 if strict else limits.probability_int8
        parity.most(f"{precision}_largest_difference", worst, allowed)
        parity.most(f"{precision}_alone_or_in_a_batch", np.abs(alone - together).max(), limits.probability_fp32)
        if not strict:
            same = together.argmax(1) == reference.argmax(1)
            parity.most("int8_mean_difference", np.abs(together - reference).mean(), limits.mean_probability_int8)
            parity.least("int8_same_answer", same[decided].mean() if decided.any() else 1.0, limits.agreement_int8)


def _reference_probabilities(checkpoint: Checkpoint, articles: Sequence[str]) -> Iterable[npt.NDArray[np.float32]]:
    with torch.inference_mode():
        for text in articles:  # One by one: the reference knows no padding.
            logits = checkpoint.model(**_reference_inputs(checkpoint, text)).logits
            yield logits.softmax(-1).numpy()


# -- summaries --------------------------------------------------------------------------------------------------


def _compare_summaries(
    parity: Parity, checkpoint: Checkpoint, served: _Served, limits: Tolerances, articles: Sequence[str]
) -> None:
    exact: dict[Precision, list[bool]] = {precision: [] for precision in served.precisions}
    alone: dict[Precision, list[bool]] = {precision: [] for precision in served.precisions}
    scores: list[float] = []
    for number, case in enumerate(_SUMMARY_CASES, start=1):
        # All articles under the default settings; a mixed batch of three under each of the others.
        texts = articles if not case else articles[1 :: max(1, len(articles) // 3)][:3]
        _LOG.info("comparing %d summaries, case %d of %d", len(texts), number, len(_SUMMARY_CASES))
        values = {setting.name: case.get(setting.name, setting.default) for setting in SUMMARY_SETTINGS}
        batch = served.encode(texts)
        expected = _reference_summaries(checkpoint, batch, values)
        for precision in served.precisions:
            found = served.run(precision, with_settings(batch, values))
            answers = [_tokens(row, checkpoint) for row in found]
            exact[precision] += [a == b for a, b in zip(answers, expected, strict=True)]
            single = served.run(precision, with_settings({key: array[-1:] for key, array in batch.items()}, values))
            alone[precision].append(_tokens(single[0], checkpoint) == answers[-1])
            if precision is Precision.INT8:
                scores += [token_f1(a, b) for a, b in zip(answers, expected, strict=True)]
    for precision in served.precisions:
        strict = precision is Precision.FP32
        parity.least(f"{precision}_same_summaries", float(np.mean(exact[precision])), 1.0 if strict else 0.0)
        parity.least(f"{precision}_alone_or_in_a_batch", float(np.mean(alone[precision])), 1.0)
    if scores:
        parity.least("int8_token_f1", float(np.mean(scores)), limits.token_f1_int8)


def with_settings(batch: Batch, values: dict[str, float]) -> dict[str, npt.NDArray[Any]]:
    """The inputs of the BART graph: a batch, and the settings of the beam search as lengths of dummies."""
    rows = len(batch[INPUT_IDS.name])
    dummies = {s.name: np.zeros((rows, s.encode(values[s.name])), np.uint8) for s in SUMMARY_SETTINGS}
    return {**batch, **dummies}


def _reference_summaries(checkpoint: Checkpoint, batch: Batch, values: dict[str, float]) -> list[list[int]]:
    kinds: dict[str, type] = {"INT32": int, "FP32": float}
    settings = {setting.name: kinds[setting.dtype](values[setting.name]) for setting in SUMMARY_SETTINGS}
    generation = checkpoint.generation
    settings["early_stopping"] = generation.early_stopping and settings["num_beams"] > 1
    if settings["num_beams"] == 1:  # Without beams both are meaningless, and transformers warns.
        settings.pop("length_penalty")
    with torch.inference_mode():
        rows = checkpoint.model.generate(
            **{name: torch.from_numpy(array).long() for name, array in batch.items()},
            **settings,
            do_sample=False,
            forced_eos_token_id=generation.eos_token_id,
            no_repeat_ngram_size=generation.no_repeat_ngram_size,
        )
    return [_tokens(row, checkpoint) for row in rows.numpy()]


def _tokens(row: npt.NDArray[Any], checkpoint: Checkpoint) -> list[int]:
    """A summary without its padding."""
    return [int(token) for token in row if token != checkpoint.generation.pad_token_id]


def token_f1(answer: Sequence[int], expected: Sequence[int]) -> float:
    """Harmonic mean of precision and recall of the tokens of ``answer``, each counted as often as it occurs."""
    common = sum((Counter(answer) & Counter(expected)).values())
    total = len(answer) + len(expected)
    return 2 * common / total if total else 1.0

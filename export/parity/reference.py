"""The parity check: an exported graph must answer as its checkpoint does in ``transformers``.

The check sees what the server sees: the served ``tokenizer.json``, the padding to length buckets and batches of
unequal articles. The fp32 graph is always held to the strict rule (token for token, probabilities to 1e-4), so a
mistake in the graph cannot hide behind the looser limits of int8.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import torch

from export.checkpoint.checkpoint import Checkpoint
from export.checkpoint.tokenization import Batch, Padding, encode
from export.errors import ParityError
from export.graph.precision import Precision
from export.progress import step
from infolens.contract import ATTENTION_MASK, INPUT_IDS, SUMMARY_SETTINGS, AnswerKind

from .articles import ARTICLES
from .checks import Parity, Tolerances

Feeds = dict[str, npt.NDArray[Any]]
Run = Callable[[Feeds], npt.NDArray[Any]]
"""Asks a graph for its one output."""
Encode = Callable[[Sequence[str]], Batch]
"""Encodes texts as the server does."""

_SUMMARY_CASES: Final[tuple[dict[str, float], ...]] = (
    {},
    {"num_beams": 1, "min_length": 0, "max_length": 24},
    {"num_beams": 2, "length_penalty": 2.0, "min_length": 8, "max_length": 40},
    {"num_beams": 3, "length_penalty": -1.0, "min_length": 12, "max_length": 12},
)
"""Settings of the beam search under which summaries are compared; what is missing has the contract's default."""

_F1_HINT: Final = (
    "{0}_token_f1 is the share of tokens that the {0} summaries have in common with the checkpoint's: {1:.3f}, and it "
    "must be {2:g} at least. Weights that are random or trained for short decide between near ties, which {0} may "
    "decide otherwise: train longer, export with --precision fp32, or accept less with --min-token-f1 F (0 to 1)"
)


class Reference(Protocol):
    """What a checkpoint answers in ``transformers``, and the inputs to which; it outlives the checkpoint."""

    def compare(self, parity: Parity, precision: Precision, name: str, run: Run, limits: Tolerances) -> None:
        """Record in ``parity``, under names that start with ``name``, how near the answers of ``run`` are."""


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
    """
    _require_same_ids(checkpoint, tokenizer_json, padding, articles)

    def served(texts: Sequence[str]) -> Batch:
        return encode(tokenizer_json, texts, padding, max_tokens=checkpoint.max_tokens)

    return _REFERENCES[checkpoint.architecture.answers](checkpoint, served, articles)


def check_graph(
    parity: Parity,
    reference: Reference,
    precision: Precision,
    model: Path,
    *,
    tolerances: Tolerances | None = None,
    operators: Path | None = None,
) -> float:
    """Compare a graph with the answers of its checkpoint, fed as the server feeds it.

    Args:
        parity: Gets the measured values.
        reference: The answers.
        precision: The graph's precision, which decides on the limits.
        model: The graph's file.
        tolerances: The limits; the project's by default.
        operators: The library of native operators; without it the graph's own functions run.

    Returns:
        The time to load the graph, in seconds.
    """
    options = ort.SessionOptions()
    options.log_severity_level = 3
    # An arena keeps what its largest batch needed; the few batches here gain nothing from it.
    options.enable_cpu_mem_arena = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if operators is not None:
        options.register_custom_ops_library(str(operators))
    start = time.perf_counter()
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    load_s = time.perf_counter() - start

    def run(feeds: Feeds) -> npt.NDArray[Any]:
        output: npt.NDArray[Any] = session.run(None, feeds)[0]
        return output

    name = f"{precision}_native" if operators else str(precision)
    reference.compare(parity, precision, name, run, tolerances or Tolerances())
    return load_s


def _require_same_ids(checkpoint: Checkpoint, tokenizer_json: str, padding: Padding, articles: Sequence[str]) -> None:
    """Compare the served tokenizer with the checkpoint's own, special tokens and truncation included."""
    for text in articles:
        served = encode(tokenizer_json, [text], padding, max_tokens=checkpoint.max_tokens)
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
    encoded = checkpoint.tokenizer(
        text,
        truncation=True,
        max_length=checkpoint.max_tokens,
        return_tensors="pt",
        # Said aloud, since a tokenizer may leave out by itself what its model would have read.
        return_token_type_ids=checkpoint.architecture.token_types,
    )
    return dict(encoded)


# -- classifiers ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Probabilities:
    batches: list[Batch]
    """The first few articles, more of them, and all: each is padded to another bucket, the last to the limit."""
    expected: npt.NDArray[np.float32]
    """(articles, classes)."""

    @classmethod
    def of(cls, checkpoint: Checkpoint, served: Encode, articles: Sequence[str]) -> _Probabilities:
        sizes = sorted({max(1, len(articles) // 3), max(1, 2 * len(articles) // 3), len(articles)})
        expected = np.concatenate(list(_reference_probabilities(checkpoint, articles)))
        return cls(batches=[served(articles[:count]) for count in sizes], expected=expected)

    def compare(self, parity: Parity, precision: Precision, name: str, run: Run, limits: Tolerances) -> None:
        worst, together = 0.0, self.expected
        for batch in self.batches:
            together = run({**batch})
            worst = max(worst, float(np.abs(together - self.expected[: len(together)]).max()))
        last = self.batches[-1]
        alone = np.concatenate(
            [run({key: array[i : i + 1] for key, array in last.items()}) for i in range(len(self.expected))]
        )
        allowed = precision.number_format
        agreement = allowed.agreement if limits.agreement is None else limits.agreement
        parity.most(f"{name}_largest_difference", worst, allowed.probability)
        parity.most(f"{name}_alone_or_in_a_batch", np.abs(alone - together).max(), allowed.alone)
        if allowed.agreement:
            ordered = np.sort(self.expected, axis=1)
            decided = (ordered[:, -1] - ordered[:, -2]) > allowed.probability
            equal = together.argmax(1) == self.expected.argmax(1)
            mean = np.abs(together - self.expected).mean()
            parity.most(f"{name}_mean_difference", mean, allowed.mean_probability)
            parity.least(f"{name}_same_answer", equal[decided].mean() if decided.any() else 1.0, agreement)


def _reference_probabilities(checkpoint: Checkpoint, articles: Sequence[str]) -> Iterable[npt.NDArray[np.float32]]:
    with torch.inference_mode():
        for text in articles:  # One by one: the reference knows no padding.
            logits = checkpoint.model(**_reference_inputs(checkpoint, text)).logits
            yield logits.softmax(-1).numpy()


# -- summaries --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Summaries:
    cases: list[tuple[Feeds, list[list[int]]]]
    """Batches with their settings, and the summaries of each without padding."""
    pad_id: int

    @classmethod
    def of(cls, checkpoint: Checkpoint, served: Encode, articles: Sequence[str]) -> _Summaries:
        cases = []
        for number, case in enumerate(_SUMMARY_CASES, start=1):
            # All articles under the default settings; a mixed batch of three under each of the others.
            texts = articles if not case else articles[1 :: max(1, len(articles) // 3)][:3]
            values = {setting.name: case.get(setting.name, setting.default) for setting in SUMMARY_SETTINGS}
            batch = served(texts)
            with step(f"asking transformers for {len(texts)} summaries, case {number} of {len(_SUMMARY_CASES)}"):
                cases.append((with_settings(batch, values), _reference_summaries(checkpoint, batch, values)))
        return cls(cases=cases, pad_id=checkpoint.model.generation_config.pad_token_id)

    def compare(self, parity: Parity, precision: Precision, name: str, run: Run, limits: Tolerances) -> None:
        exact: list[bool] = []
        alone: list[bool] = []
        scores: list[float] = []
        for feeds, expected in self.cases:
            answers = [_tokens(row, self.pad_id) for row in run(feeds)]
            single = run({name: array[-1:] for name, array in feeds.items()})
            exact += [a == b for a, b in zip(answers, expected, strict=True)]
            alone.append(_tokens(single[0], self.pad_id) == answers[-1])
            scores += [token_f1(a, b) for a, b in zip(answers, expected, strict=True)]
        allowed = precision.number_format
        parity.least(f"{name}_same_summaries", float(np.mean(exact)), allowed.same_summaries)
        parity.least(f"{name}_alone_or_in_a_batch", float(np.mean(alone)), allowed.same_alone)
        if allowed.same_summaries < 1:
            mean = float(np.mean(scores))
            hint = _F1_HINT.format(name, mean, limits.token_f1)
            parity.least(f"{name}_token_f1", mean, limits.token_f1, hint=hint)


_REFERENCES: Final[dict[AnswerKind, Callable[[Checkpoint, Encode, Sequence[str]], Reference]]] = {
    AnswerKind.TEXT: _Summaries.of,
    AnswerKind.LABELS: _Probabilities.of,
}
"""What is compared, by the kind of the answers."""


def with_settings(batch: Batch, values: dict[str, float]) -> Feeds:
    """The inputs of the BART graph: a batch, and the settings of the beam search as lengths of dummies."""
    rows = len(batch[INPUT_IDS.name])
    dummies = {s.name: np.zeros((rows, s.encode(values[s.name])), np.uint8) for s in SUMMARY_SETTINGS}
    return {**batch, **dummies}


def _reference_summaries(checkpoint: Checkpoint, batch: Batch, values: dict[str, float]) -> list[list[int]]:
    """The summaries of the articles of a batch, asked for one by one and without padding.

    ``transformers`` repeats the keys and values of a padded article for every beam and copies them at every step: ten
    articles at once take 10 GB with bart-large, and several times as long.
    """
    kinds: dict[str, type] = {"INT32": int, "FP32": float}
    settings = {setting.name: kinds[setting.dtype](values[setting.name]) for setting in SUMMARY_SETTINGS}
    generation = checkpoint.model.generation_config
    settings["early_stopping"] = generation.early_stopping and settings["num_beams"] > 1
    if settings["num_beams"] == 1:  # Without beams both are meaningless, and transformers warns.
        settings["length_penalty"] = 1.0
    summaries = []
    with torch.inference_mode():
        for ids, mask in zip(batch[INPUT_IDS.name], batch[ATTENTION_MASK.name], strict=True):
            tokens = torch.from_numpy(ids[mask == 1][None]).long()
            row = checkpoint.model.generate(
                tokens,
                attention_mask=torch.ones_like(tokens),
                **settings,
                do_sample=False,
                forced_eos_token_id=generation.eos_token_id,
                no_repeat_ngram_size=generation.no_repeat_ngram_size,
            )
            summaries.append(_tokens(row[0].numpy(), generation.pad_token_id))
    return summaries


def _tokens(row: npt.NDArray[Any], pad_id: int) -> list[int]:
    """A summary without its padding."""
    return [int(token) for token in row if token != pad_id]


def token_f1(answer: Sequence[int], expected: Sequence[int]) -> float:
    """Harmonic mean of precision and recall of the tokens of ``answer``, each counted as often as it occurs."""
    common = sum((Counter(answer) & Counter(expected)).values())
    total = len(answer) + len(expected)
    return 2 * common / total if total else 1.0

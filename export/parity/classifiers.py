"""The parity of classifiers: probabilities of a graph against those of its checkpoint."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from export.checkpoint.checkpoint import Checkpoint
from export.checkpoint.tokenization import Batch
from export.graph.precision import Precision

from . import windows
from .reference import Encode, Run, reference_inputs
from .report import ParityReport
from .tolerances import Tolerances


@dataclass(frozen=True, kw_only=True)
class ClassifierReference:
    """The probabilities that a classifier gives to articles; see `reference.Reference`."""

    batches: list[Batch]
    """The first few articles, more of them, and all: each is padded to another bucket, the last to the limit."""
    expected: npt.NDArray[np.float32]
    """(articles, classes)."""

    @classmethod
    def of(cls, checkpoint: Checkpoint, served: Encode, articles: Sequence[str]) -> ClassifierReference:
        """Ask a checkpoint about ``articles``, which ``served`` encodes as the server does."""
        sizes = sorted({max(1, len(articles) // 3), max(1, 2 * len(articles) // 3), len(articles)})
        batches = [served(articles[:count]) for count in sizes]
        if checkpoint.window:
            batches = [windows.lay_out(batch, checkpoint) for batch in batches]
            return cls(batches=batches, expected=windows.probabilities(checkpoint, batches[-1]))
        return cls(batches=batches, expected=np.concatenate(list(_probabilities(checkpoint, articles))))

    def compare(self, report: ParityReport, precision: Precision, name: str, run: Run, limits: Tolerances) -> None:
        """Record the differences of the probabilities, and the share of equal labels."""
        differences, together = [0.0], self.expected
        for batch in self.batches:
            together = run({**batch})
            differences.append(float(np.abs(together - self.expected[: len(together)]).max()))
        last = self.batches[-1]
        alone = np.concatenate(
            [run({key: array[i : i + 1] for key, array in last.items()}) for i in range(len(self.expected))]
        )
        allowed = precision.number_format
        agreement = allowed.agreement if limits.agreement is None else limits.agreement
        report.at_most(f"{name}_largest_difference", np.max(differences), allowed.probability)
        report.at_most(f"{name}_alone_or_in_a_batch", np.abs(alone - together).max(), allowed.alone)
        if allowed.agreement:
            ordered = np.sort(self.expected, axis=1)
            decided = (ordered[:, -1] - ordered[:, -2]) > allowed.probability
            equal = together.argmax(1) == self.expected.argmax(1)
            mean = np.abs(together - self.expected).mean()
            report.at_most(f"{name}_mean_difference", mean, allowed.mean_probability)
            report.at_least(f"{name}_same_answer", equal[decided].mean() if decided.any() else 1.0, agreement)


def _probabilities(checkpoint: Checkpoint, articles: Sequence[str]) -> Iterable[npt.NDArray[np.float32]]:
    with torch.inference_mode():
        for text in articles:  # One by one, so that the reference needs no padding.
            logits = checkpoint.model(**reference_inputs(checkpoint, text)).logits
            yield logits.softmax(-1).numpy()

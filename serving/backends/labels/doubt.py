"""Whether a classifier is sure enough of an answer for it to be a signal.

The probabilities are calibrated with a temperature, p ** (1 / T) over their sum, which is temperature scaling of the
logits (Guo et al., "On Calibration of Modern Neural Networks", 2017), since the softmax stands inside of the graph. The
largest of them must reach a threshold: classification with a reject option (Chow, "On Optimum Recognition Error and
Reject Tradeoff", 1970). Temperature and threshold come with the model; the export fits them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_SMALLEST = 1e-12
"""Probabilities below it count as this much: none is so small for a reason, and 0 has no logarithm."""


def calibrated(probabilities: npt.NDArray[np.float32], temperature: float) -> npt.NDArray[np.float64]:
    """Probabilities [n, C] at a temperature, [n, C]; each row adds up to 1."""
    logits = np.log(np.maximum(probabilities.astype(np.float64), _SMALLEST)) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    scaled: npt.NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return scaled


@dataclass(frozen=True, kw_only=True)
class Band:
    """When there is doubt, and what is said then."""

    temperature: float = 1.0
    threshold: float = 0.0
    """There is doubt where the largest calibrated probability is smaller."""
    word: str = "unsure"
    reasons: Mapping[int, str]
    """What the values of the input ``unclear`` mean, in words; 0 is none of them."""

    @classmethod
    def read(cls, parameters: Mapping[str, str]) -> Band:
        """The band that the parameters of a configuration set; without them there is no doubt.

        Raises:
            ValueError: A parameter is no number, or out of its range.
        """
        band = cls(
            temperature=float(parameters.get("temperature", cls.temperature)),
            threshold=float(parameters.get("threshold", cls.threshold)),
            word=parameters.get("doubt_word", cls.word),
            reasons={int(value): words for value, words in json.loads(parameters.get("unclear_reasons", "{}")).items()},
        )
        if not 0 < band.temperature < float("inf"):
            raise ValueError(f"parameter temperature is a number above 0, not {band.temperature:g}")
        if not 0 <= band.threshold <= 1:
            raise ValueError(f"parameter threshold lies between 0 and 1, not {band.threshold:g}")
        if not band.word:
            raise ValueError("parameter doubt_word is what a signal says in place of a label, not empty")
        return band

    def why(
        self, probabilities: npt.NDArray[np.float32], unclear: npt.NDArray[np.int32] | None
    ) -> npt.NDArray[np.object_]:
        """Why there is doubt, in words, or nothing where there is none.

        Args:
            probabilities: FP32 [n, C], as the model gave them.
            unclear: INT32 [n, 1], why no classifier can judge the text; None where nobody says.

        Returns:
            UTF-8, BYTES [n, 1].

        Raises:
            ValueError: A value of ``unclear`` has no words.
        """
        sure = calibrated(probabilities, self.temperature).max(axis=1)
        reasons = np.empty((len(sure), 1), np.object_)
        for row, probability in enumerate(sure):
            reasons[row, 0] = self._why(float(probability), int(unclear[row, 0]) if unclear is not None else 0).encode()
        return reasons

    def _why(self, sure: float, unclear: int) -> str:
        if unclear:
            if unclear not in self.reasons:
                raise ValueError(f"the input unclear is 0 or one of {sorted(self.reasons)}, not {unclear}")
            return self.reasons[unclear]
        if sure >= self.threshold:
            return ""
        # Rounded down, so that it never reads as what would have been enough, and the threshold up.
        enough = math.ceil(1000 * self.threshold - 1e-3)
        shown = min(math.floor(1000 * sure + 1e-3), enough - 1)
        return f"not sure enough: {shown / 1000:.3f} after calibration, {enough / 1000:.3f} is needed"

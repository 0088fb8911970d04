"""How a summary is written; `infolens.types` exports it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from infolens.contract import SUMMARY_SETTINGS, SummarySetting
from infolens.errors import InvalidSettingError


@dataclass(frozen=True, kw_only=True, slots=True)
class SummaryOptions:
    """How the summary is written; what is None is left to the server's defaults.

    The ranges and defaults stand in `infolens.contract.SUMMARY_SETTINGS`; lengths count tokens, the start and end
    tokens included.

    Raises:
        InvalidSettingError: A value is of the wrong type or out of range, ``min_length`` exceeds ``max_length``, a
            sample (``temperature`` above 0) is to have beams, or a search (without one) ``top_p`` or ``seed``.
    """

    min_length: int | None = None
    """Minimum tokens of the summary; by default no more than ``max_length``. A text that has no more is its own."""
    max_length: int | None = None
    """Maximum tokens of the summary; it also bounds the time that the summary takes. A summary that would go on is cut
    after its last whole sentence, and may then have fewer than ``min_length``."""
    num_beams: int | None = None
    """Width of the beam search: 1 is greedy and fastest."""
    length_penalty: float | None = None
    """Above 0 favours longer summaries, below 0 shorter ones; one decimal is kept."""
    style: str | None = None
    """``extractive``: whole sentences of the article, character for character; ``free``: the model's own words. With
    a model that chooses whole sentences only ``min_length`` and ``max_length`` count for an extractive summary."""
    temperature: float | None = None
    """Above 0 the summary is a sample of what the model could write, the more daring the higher; 0 is a search."""
    top_p: float | None = None
    """A sample takes each token of the most probable ones that have this probability together; 1 is all."""
    seed: int | None = None
    """The same seed, article and settings give the same sample; without one each request gets another."""

    def __post_init__(self) -> None:
        for setting in SUMMARY_SETTINGS:
            value = getattr(self, setting.name)
            if value is not None:
                _check_setting(setting, value)
        self._check_lengths()
        self._check_sampling()

    def _check_lengths(self) -> None:
        if self.min_length is None or self.max_length is None:
            return  # the server's own minimum follows a small max_length down; its own maximum is the model's
        if self.min_length > self.max_length:
            raise InvalidSettingError(
                f"min_length may not exceed max_length, but min_length is {self.min_length} and "
                f"max_length is {self.max_length:g}; change one of them"
            )

    def _check_sampling(self) -> None:
        if self.temperature:
            if self.num_beams is not None and self.num_beams > 1:
                raise InvalidSettingError(
                    f"a sample has no beams, but temperature is {self.temperature:g} and num_beams is "
                    f"{self.num_beams}; leave one of them out"
                )
            return
        for name in ("top_p", "seed"):
            if getattr(self, name) is not None:
                raise InvalidSettingError(
                    f"{name} is for samples, whose temperature is above 0, but temperature is "
                    f"{'left out' if self.temperature is None else 0}; set it, or leave {name} out"
                )

    def given(self) -> dict[str, float | str]:
        """The settings that are set, by name, in the order of the contract."""
        values = {setting.name: getattr(self, setting.name) for setting in SUMMARY_SETTINGS}
        return {name: value for name, value in values.items() if value is not None}


def _check_setting(setting: SummarySetting, value: object) -> None:
    if setting.choices:
        if value not in setting.choices:
            raise InvalidSettingError(
                f"{setting.name} is {setting.rule}, not {value!r}; leave it out for {setting.left_out}"
            )
        return
    kind = int if setting.dtype == "INT32" else (int, float)
    if isinstance(value, bool) or not isinstance(value, kind):
        raise InvalidSettingError(f"{setting.name} is {setting.rule}, not {value!r}")
    if not (math.isfinite(value) and setting.minimum <= value <= setting.maximum):
        raise InvalidSettingError(
            f"{setting.name} must lie between {setting.minimum:.15g} and {setting.maximum:.15g}, but is {value!r}; "
            f"leave it out for the default, {setting.left_out}"
        )

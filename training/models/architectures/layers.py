"""Which layers of a base a smaller model keeps."""

from __future__ import annotations

from training.errors import SettingError


def kept_layers(total: int, keep: int, base: str) -> list[int]:
    """The layers that are kept, evenly spread from the first to the last.

    Args:
        total: Layers of the base.
        keep: How many are kept; 0 keeps all.
        base: Where they come from, for the message.

    Raises:
        SettingError: The base has fewer.
    """
    if keep > total:
        raise SettingError(f"keep_layers is at most {total} for {base}, not {keep}")
    count = keep or total
    return [round(i * (total - 1) / max(1, count - 1)) for i in range(count)]

"""What the driver says of the card; it is only read, never set."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Final

CONSTANT: Final = (
    "name", "driver_version", "memory.total", "ecc.mode.current", "mig.mode.current", "persistence_mode", "power.limit",
    "clocks.max.sm", "clocks.max.memory", "pcie.link.gen.max", "pcie.link.width.max",
)  # fmt: skip
"""Fields of ``nvidia-smi --help-query-gpu`` that stay as they are during a run."""
NOW: Final = ("clocks.sm", "clocks.mem", "power.draw", "temperature.gpu", "clocks_event_reasons.active")
"""Those that change."""
_REASONS: Final = {
    0x1: "idle",
    0x2: "clocks set by an application",
    0x4: "power limit",
    0x8: "slowdown by the hardware",
    0x10: "sync boost",
    0x20: "heat (software)",
    0x40: "heat (hardware)",
    0x80: "power brake",
    0x100: "clocks of the display",
}
"""Why clocks are lower than they could be, by bit."""
_LIMIT_S: Final = 15.0


def query(fields: Sequence[str], meanwhile: Callable[[], object] | None = None) -> dict[str, str]:
    """What the driver says of the first visible card, by field, with units; fields that it does not know are left out.

    Args:
        fields: Names as in `CONSTANT`.
        meanwhile: Called again and again until the answer is there: work under which the card is read.

    Raises:
        OSError: There is no such tool, or it does not answer.
    """
    card = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0] or "0"
    wanted = list(fields)
    while wanted:
        command = ["nvidia-smi", f"--id={card}", f"--query-gpu={','.join(wanted)}", "--format=csv,noheader"]
        status, text = _answer(command, meanwhile)
        if status == 0:
            values = text.strip().splitlines()[0].split(", ")
            return dict(zip(wanted, values, strict=True))
        unknown = {field for field in wanted if f'"{field}"' in text}
        if not unknown:
            raise OSError(f"nvidia-smi ended with {status}: {' '.join(text.split())}")
        wanted = [field for field in wanted if field not in unknown]
    return {}


def _answer(command: Sequence[str], meanwhile: Callable[[], object] | None) -> tuple[int, str]:
    end_s = time.monotonic() + _LIMIT_S
    with subprocess.Popen(  # noqa: S603 - fields of our own
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            while meanwhile is not None:
                meanwhile()
                if process.poll() is not None or time.monotonic() > end_s:
                    break
            text, _ = process.communicate(timeout=max(0.1, end_s - time.monotonic()))
        except subprocess.TimeoutExpired as error:
            raise OSError(f"nvidia-smi did not answer within {_LIMIT_S:g} s") from error
        finally:
            process.kill()
    return process.returncode, text


def number(value: str | None) -> float | None:
    """The number of a value such as ``1980 MHz``; None where the driver gives none."""
    try:
        return float((value or "").partition(" ")[0])
    except ValueError:
        return None


def reasons(value: str | None) -> str | None:
    """In words, why the clocks are lower than they could be; ``none`` where they are not."""
    try:
        bits = int(value or "", 16)
    except ValueError:
        return None
    return ", ".join(words for bit, words in _REASONS.items() if bits & bit) or ("none" if not bits else f"{bits:#x}")

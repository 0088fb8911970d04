"""What the first part says of a machine, and that it has the ceilings of the others."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.gpu import nvidia_smi
from benchmarks.gpu.context import Context, Row, Setting, Skipped
from benchmarks.gpu.nvidia_smi import NOW, number, query, reasons
from benchmarks.gpu.parts import preflight
from benchmarks.gpu.roofline import Rates

TOOL = """#!/bin/sh
echo "$@" >>"$0.calls"
case "$*" in
*clocks_event_reasons.active*)
    echo 'Field "clocks_event_reasons.active" is not a valid field to query.'
    exit 2 ;;
esac
echo '1755 MHz, 2619 MHz, 612.30 W, 58'
"""


def sent_by(call: Callable[[Context], object], left_s: float = 60.0) -> list[Row | Skipped | Setting | Rates]:
    sent: list[Row | Skipped | Setting | Rates] = []
    call(Context(device="cpu", toy=True, deadline_s=time.monotonic() + left_s, send=sent.append))
    return sent


def test_a_processor_gets_all_that_needs_no_card():
    sent = sent_by(preflight.run)
    assert [one for one in sent if isinstance(one, Skipped)] == []
    rows = [one for one in sent if isinstance(one, Row)]
    facts = {row.cells["what"]: row.cells["value"] for row in rows if row.table == "machine"}
    assert {"torch", "transformers", "processor", "its extensions"} <= set(facts)
    assert [row.cells["numbers"] for row in rows if row.table == "matrix"] == ["bf16", "fp16", "fp32"]
    (rates,) = [one for one in sent if isinstance(one, Rates)]
    assert set(rates.operations_per_s) == {"bf16", "fp16", "fp32"}
    assert min(rates.copy_bytes_per_s, *rates.operations_per_s.values()) > 0


def test_a_rate_counts_what_is_read_and_written_and_both_multiplications_and_additions():
    sent = sent_by(preflight.run)
    (rates,) = [one for one in sent if isinstance(one, Rates)]
    rows = [one.cells for one in sent if isinstance(one, Row)]
    copy = next(cells for cells in rows if "a copy" in str(cells.get("way")))
    assert copy["moved_gb"] == 2 * 4 * 2**20 / 1e9
    assert rates.copy_bytes_per_s == pytest.approx(1e9 * float(str(copy["gb_per_s"])))
    product = next(cells for cells in rows if cells.get("numbers") == "fp32")
    median_s = float(str(product["median_ms"])) / 1e3
    assert rates.operations_per_s["fp32"] == pytest.approx(2 * 256**3 / median_s)


def test_without_time_there_are_no_rates_and_no_floors():
    sent = sent_by(preflight.run, left_s=0.0)
    assert not [one for one in sent if isinstance(one, Rates)]
    assert "the floors of later parts" in [one.what for one in sent if isinstance(one, Skipped)]


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "nvidia-smi"
    path.write_text(TOOL, encoding="utf-8")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return path


def test_a_field_that_the_driver_does_not_know_costs_only_itself(tool: Path):
    found = query(NOW)
    assert found == {
        "clocks.sm": "1755 MHz",
        "clocks.mem": "2619 MHz",
        "power.draw": "612.30 W",
        "temperature.gpu": "58",
    }
    calls = Path(f"{tool}.calls").read_text(encoding="utf-8").splitlines()
    # It asks, and never sets.
    assert all("--query-gpu=" in call and "--id=0" in call for call in calls)


def test_the_card_works_while_it_is_read(tool: Path):
    assert tool.exists()
    calls = []
    query(NOW[:4], lambda: calls.append(1))
    assert calls


def test_a_driver_that_fails_says_what_it_said(tool: Path):
    tool.write_text("#!/bin/sh\necho 'No devices were found'\nexit 6\n", encoding="utf-8")
    with pytest.raises(OSError, match="ended with 6: No devices were found"):
        query(NOW)


def test_a_driver_that_hangs_is_left(tool: Path, monkeypatch: pytest.MonkeyPatch):
    tool.write_text("#!/bin/sh\nexec tail -f /dev/null\n", encoding="utf-8")
    monkeypatch.setattr(nvidia_smi, "_LIMIT_S", 0.1)
    with pytest.raises(OSError, match="did not answer"):
        query(NOW)


def test_values_of_the_driver_are_read():
    assert (number("1980 MHz"), number("58"), number("[N/A]"), number(None)) == (1980, 58, None, None)
    assert reasons("0x0000000000000004") == "power limit"
    assert reasons("0x0000000000000024") == "power limit, heat (software)"
    assert (reasons("0x0"), reasons("0x8000"), reasons("[N/A]"), reasons(None)) == ("none", "0x8000", None, None)

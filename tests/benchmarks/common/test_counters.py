"""What the server's metrics and processes say of a measurement."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

from benchmarks.common.metrics import parse_counters, stages
from benchmarks.common.processes import ProcessWatch

METRICS = """\
# TYPE nv_inference_request_success counter
nv_inference_request_success{model="bart",version="1"} %d
# TYPE nv_inference_request_failure counter
nv_inference_request_failure{model="bart",reason="REJECTED",version="1"} 3
nv_inference_request_failure{model="bart",reason="OTHER",version="1"} 1
# TYPE nv_inference_count counter
nv_inference_count{model="bart",version="1"} %d
# TYPE nv_inference_exec_count counter
nv_inference_exec_count{model="bart",version="1"} %d
# TYPE nv_inference_queue_duration_us counter
nv_inference_queue_duration_us{model="bart",version="1"} %d
# TYPE nv_cpu_utilization gauge
nv_cpu_utilization 0.5
"""


def test_stages_are_means_between_two_looks() -> None:
    before, after = parse_counters(METRICS % (10, 10, 10, 5000)), parse_counters(METRICS % (30, 50, 20, 105_000))
    (stage,) = stages(before, after)
    assert (stage.model, stage.requests, stage.batch, stage.wait_ms) == ("bart", 20, 4.0, 5.0)
    assert stages({}, after)[0].failures == 4
    assert stages(after, after) == []


def test_processes_are_watched_with_all_below_them() -> None:
    watch = ProcessWatch(threading.main_thread().native_id or 0, interval_s=0.01)
    with watch.running():
        end_s = time.process_time() + 0.15
        while time.process_time() < end_s:
            pass
    used = {use.name: use for use in watch.used()}
    assert sum(use.cpu_s for use in used.values()) >= 0.1
    assert all(use.memory_bytes > 0 for use in used.values())
    assert watch.memory


def test_a_process_that_ended_counts_with_the_cpu_time_that_was_seen(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    code = (
        "import pathlib, sys, time\n"
        "while time.process_time() < 0.3: pass\n"
        "while not pathlib.Path(sys.argv[1]).exists(): time.sleep(0.01)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(seen)]) as child:
        watch = ProcessWatch(child.pid, interval_s=0.01)
        with watch.running():
            while watch.cpu_s < 0.2 and child.poll() is None:
                time.sleep(0.01)
            seen.touch()
            child.wait()
    (use,) = watch.used()
    assert watch.cpu_s == use.cpu_s >= 0.2
    assert (use.processes, use.memory_bytes) == (0, 0)
    assert watch.peak_bytes == use.peak_memory_bytes > 0

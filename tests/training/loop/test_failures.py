"""What a user is told when a run breaks off, whichever library met the reason."""

from __future__ import annotations

import errno
import os
import pickle
from pathlib import Path

import pytest
import torch

from tests.training.toys import small
from training.errors import DivergedError
from training.loop.failures import explained, is_disk_full, is_out_of_memory, way_on, what_failed


class WorkersError(RuntimeError):
    """Has the errors of the workers as Ray Train's has them."""

    def __init__(self, *failures: Exception) -> None:
        super().__init__("Training failed due to worker errors")
        self.worker_failures = dict(enumerate(failures))


class WrappedError(Exception):
    """Wraps a worker's error as Ray Train does."""

    def __init__(self, error: Exception, traceback: str) -> None:
        self.traceback = traceback

    def __str__(self) -> str:
        return self.traceback


def _from_a_worker(error: Exception) -> Exception:
    return WorkersError(WrappedError(pickle.loads(pickle.dumps(error)), "Traceback: ..."))


def _told(error: Exception) -> str:
    return str(explained(error, small(), Path("work")))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_known_by_its_number(number: int) -> None:
    error = OSError(number, os.strerror(number))
    for each in (error, _from_a_worker(error)):
        assert is_disk_full(each)
        assert _told(each).startswith("the disk of work is full: free some space; nothing was kept yet")
    assert not is_disk_full(OSError(errno.EACCES, "No permission"))


def test_a_full_disk_is_known_where_a_library_says_it_in_words_only() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with pytest.raises(Exception) as torch_error, full.open("wb") as file:  # noqa: PT011 - whatever torch raises
        torch.save(torch.zeros(100_000), file)
    assert is_disk_full(torch_error.value)
    assert not is_disk_full(RuntimeError("something else"))


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError()])
def test_too_little_memory_is_known_by_its_class(error: Exception) -> None:
    for each in (error, _from_a_worker(error)):
        assert is_out_of_memory(each)
        assert _told(each).startswith("out of memory: lower per_device_train_batch_size")
    assert not is_out_of_memory(ValueError("ran out of memory cards"))


def test_too_little_memory_of_the_machine_is_known_as_torch_says_it() -> None:
    with pytest.raises(RuntimeError) as error:
        torch.empty(2**58, dtype=torch.uint8)
    assert is_out_of_memory(error.value)


def test_a_loss_that_is_not_finite_is_told_as_it_was_raised() -> None:
    error = DivergedError("the loss is inf at step 3: ...")
    for each in (error, _from_a_worker(error)):
        assert _told(each).startswith("the loss is inf at step 3: .... With such a change ")


def test_a_worker_that_died_is_told_and_not_those_that_lost_their_peer() -> None:
    lost = WrappedError(
        RuntimeError("gloo: Connection reset by peer"), "Traceback\nRuntimeError: Connection reset by peer"
    )
    died = type("ActorDiedError", (type("RayActorError", (Exception,), {}),), {})("The actor died\nunexpectedly")
    assert what_failed({0: lost, 1: died}) == "worker 1 died (killed from outside, or crashed)"
    assert _told(WorkersError(lost, died)).startswith(
        "training broke off: worker 1 died (killed from outside, or crashed), 3 tries; "
    )
    own = WrappedError(ValueError("no such thing"), "Traceback\nValueError: no such thing")
    assert what_failed({0: lost, 1: own}) == "worker 1 failed (ValueError: no such thing)"


def test_how_a_run_goes_on_is_told_with_what_it_has_kept(tmp_path: Path) -> None:
    work = tmp_path / "out.partial"
    assert way_on(small(), work) == "nothing was kept yet: the same command begins anew"
    (work / "prepared").mkdir(parents=True)
    (work / "prepared" / "job.json").write_text('{"passes": [], "key": "abc"}')
    assert way_on(small(), work) == (
        f"no checkpoint was there yet: the same command begins anew; what is prepared is in {work} (0 kB)"
    )
    for step, whole in ((20, True), (100, True), (120, False)):
        folder = work / "steps" / "abc" / f"checkpoint-{step}"
        folder.mkdir(parents=True)
        (folder / ("trainer_state.json" if whole else "model.safetensors")).write_bytes(b"0" * 600_000)
    assert way_on(small(), work) == (
        f"the same command goes on from step 100; for that there is {work} (1.8 MB): delete it to begin anew"
    )


def test_any_other_error_is_told_by_its_last_line_and_how_to_go_on() -> None:
    wanted = "training broke off: ValueError: no such thing; nothing was kept yet: the same command begins anew"
    error = ValueError("a long story\nno such thing")
    assert _told(error).startswith(wanted.replace("ValueError: ", ""))
    assert _told(WorkersError(WrappedError(error, "Traceback\nValueError: no such thing\n"))).startswith(wanted)


def test_the_whole_traceback_of_an_error_that_nobody_foresaw_is_kept(tmp_path: Path) -> None:
    error = WorkersError(WrappedError(ValueError("no such thing"), "Traceback: line 5\nValueError: no such thing\n"))
    file = tmp_path / "error.txt"
    assert f"ValueError: no such thing (the traceback is in {file}); " in str(explained(error, small(), tmp_path))
    assert "Training failed due to worker errors" in file.read_text()

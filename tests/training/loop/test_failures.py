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
from training.loop.failures import explained, is_disk_full, is_out_of_memory


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
        assert _told(each).startswith("the disk of work is full: free some space; the same command goes on")
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
        assert _told(each) == "the loss is inf at step 3: ..."


def test_any_other_error_is_told_by_its_last_line_and_how_to_go_on() -> None:
    wanted = "training broke off: ValueError: no such thing; the same command goes on from the last checkpoint, which"
    error = ValueError("a long story\nno such thing")
    assert _told(error).startswith(wanted.replace("ValueError: ", ""))
    assert _told(WorkersError(WrappedError(error, "Traceback\nValueError: no such thing\n"))).startswith(wanted)

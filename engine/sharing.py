"""What those need that compute on one GPU in one process: openings take turns, and nobody minds another's capture."""

from __future__ import annotations

import ctypes
import logging
import threading
from collections.abc import Callable
from typing import Any, Final

OPENING: Final = threading.Lock()
"""Held while an engine or a session is opened. While ONNX Runtime captures a CUDA graph, the driver refuses other
threads what may be unsafe, such as to take memory, and the refusal spoils the capture too."""
_DRIVER: Final = "libcuda.so.1"
_THREAD_LOCAL: Final = 1
"""``CU_STREAM_CAPTURE_MODE_THREAD_LOCAL`` of the driver's interface: of captures, this thread minds its own."""
_LOG = logging.getLogger(__name__)


def bear_captures(load: Callable[[str], Any] = ctypes.CDLL) -> None:
    """Let this thread use the GPU while another one captures a CUDA graph in the driver's mode *global*.

    That is how ONNX Runtime captures; see ``cuThreadExchangeStreamCaptureMode`` in the documentation of CUDA's driver.
    The thread stays so. Where that fails it is logged, and the thread goes on as it was.

    Args:
        load: Loads the driver's library.
    """
    mode = ctypes.c_int(_THREAD_LOCAL)
    try:
        driver = load(_DRIVER)
        code = driver.cuInit(0) or driver.cuThreadExchangeStreamCaptureMode(ctypes.byref(mode))
    except (OSError, AttributeError) as error:
        _LOG.warning("a model that is loaded while others compute on this GPU may disturb them: %s", error)
        return
    if code:
        _LOG.warning("a model that is loaded while others compute on this GPU may disturb them: CUDA's error %d", code)


def leave_the_common_stream() -> None:
    """Have PyTorch compute on a stream of this thread's own.

    ONNX Runtime copies between host and device on the stream that all threads share by default: its copies would wait
    for all that PyTorch has queued there.
    """
    import torch

    if torch.cuda.is_available() and torch.cuda.current_stream() == torch.cuda.default_stream():
        torch.cuda.synchronize()  # what was computed there before, such as weights, is there for both
        torch.cuda.set_stream(torch.cuda.Stream())

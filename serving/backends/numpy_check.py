"""Whether this process's stub and its numpy understand each other.

A stub is compiled with pybind11. Up to release 2.11 that reads the size of an element where numpy 2 no longer has it,
and finds 0: every input then repeats its first element, and every output is empty, without a word. The stubs of Triton
2.52 (NVIDIA's container 24.11) and later have pybind11 2.12, which knows both numpys. What a stub was compiled with it
does not say, so it is tried.
"""

from __future__ import annotations

import numpy as np
import triton_python_backend_utils as pb_utils


def check_numpy() -> None:
    """Take some numbers through the stub and back.

    Raises:
        RuntimeError: They are others then.
    """
    if int(np.__version__.split(".")[0]) < 2:  # every stub knows it
        return
    sent = np.arange(1, 5, dtype=np.int32).reshape(2, 2)
    # As a tensor of Triton's comes: memory, shape and type, of which pybind11 makes an array.
    got = pb_utils.Tensor.from_dlpack("probe", pb_utils.Tensor("probe", sent)).as_numpy()
    if not np.array_equal(got, sent):
        raise RuntimeError(
            f"numpy {np.__version__} empties every output of this stub of Triton's Python backend: install numpy "
            "below 2 where the stub finds its packages, or take Triton 2.52 (NVIDIA's container 24.11) or newer"
        )

"""A stub of Triton that numpy 2 confuses is found out before it answers anything."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.backends import numpy_check
from serving.backends.numpy_check import check_numpy

BACKENDS = sorted(path.parent.name for path in Path(numpy_check.__file__).parent.glob("*/model.py"))


class OldStub:
    """What pybind11 before 2.12 makes of a tensor with numpy 2: the size of an element is 0, and so is each stride."""

    def __init__(self, name: str, array: Any) -> None:
        self._array = np.asarray(array)

    @classmethod
    def from_dlpack(cls, name: str, tensor: OldStub) -> OldStub:
        array = tensor.as_numpy()
        return cls(name, np.lib.stride_tricks.as_strided(array, array.shape, (0,) * array.ndim))

    def as_numpy(self) -> Any:
        return self._array


@pytest.mark.parametrize("backend", BACKENDS)
def test_each_backend_refuses_to_load_in_it(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("triton_python_backend_utils.Tensor", OldStub)
    monkeypatch.setattr(np, "__version__", "2.1.0")
    model = importlib.import_module(f"serving.backends.{backend}.model").TritonPythonModel()
    with pytest.raises(RuntimeError, match=r"numpy 2\.1\.0 empties every output.*install numpy below 2"):
        model.initialize({})


def test_a_newer_stub_may_have_numpy_2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(np, "__version__", "2.1.0")
    check_numpy()


def test_numpy_1_suits_every_stub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("triton_python_backend_utils.Tensor", None)
    monkeypatch.setattr(np, "__version__", "1.26.4")
    check_numpy()

"""Triton's interpreter, which runs kernels on a CPU."""

from __future__ import annotations

import os
from typing import Any

os.environ["TRITON_INTERPRET"] = "1"

from triton.runtime import interpreter

_plain = interpreter._patch_lang_tensor


class _Scope:
    def __init__(self, scope: Any) -> None:
        self._scope = scope

    def set_attr(self, owner: Any, name: str, value: Any) -> None:
        found = (lambda self: int(self.handle.data.item())) if name == "__index__" else value
        self._scope.set_attr(owner, name, found)


def install() -> None:
    """Let kernels run: numpy 2.4 and later take no array of one for a number, as Triton 3.6 wants."""
    interpreter._patch_lang_tensor = lambda tensor, scope: _plain(tensor, _Scope(scope))

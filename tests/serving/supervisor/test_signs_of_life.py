"""Which failures show that a model lives."""

from __future__ import annotations

import pytest
from grpc import StatusCode

from engine.sessions.wire import AWAY
from serving.supervisor.signs import is_sign


@pytest.mark.parametrize(
    ("code", "words", "lives"),
    [
        (StatusCode.INTERNAL, "ONNX Runtime: no", True),
        (StatusCode.UNAVAILABLE, "Socket closed", False),
        (StatusCode.UNAVAILABLE, AWAY, True),
        (StatusCode.INTERNAL, "Stub process 'bert' is not healthy.", False),
    ],
)
def test_a_failure_is_a_sign_of_life_where_the_model_itself_tells_it(code: StatusCode, words: str, lives: bool) -> None:
    assert is_sign(code, words) is lives

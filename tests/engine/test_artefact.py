"""A folder that is damaged is refused when it is read, by words that say what helps."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.artefact import BEGIN, ENCODER, MANIFEST, SPACING, STEP, WEIGHTS, manifest, read
from engine.settings import Architecture, Rules

WORDS = 10
ARCHITECTURE = Architecture(
    width=8,
    encoder_layers=1,
    decoder_layers=1,
    encoder_heads=1,
    decoder_heads=1,
    vocabulary=WORDS,
    positions=16,
    activation="gelu",
    scale_embedding=False,
)
TABLE = np.stack([np.arange(WORDS), np.arange(WORDS)[::-1]]).astype(np.int32)
HUGE = b"\x93NUMPY\x01\x00v\x00{'descr': '<i4', 'fortran_order': False, 'shape': (2, 999999999999), }"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (ENCODER, STEP, BEGIN, WEIGHTS):
        (tmp_path / name).touch()
    np.save(tmp_path / SPACING, TABLE)
    rules = Rules(start_token=2, end_tokens=(2, 3), pad_token=1)
    text = manifest("fp32", ARCHITECTURE, rules, no_repeat_ngram_size=3, early_stopping="never")
    (tmp_path / MANIFEST).write_text(text)
    return tmp_path


def test_what_is_written_is_read(folder: Path) -> None:
    found = read(folder)
    assert (found.architecture, found.rules.end_tokens, found.early_stopping) == (ARCHITECTURE, (2, 3), "never")
    np.testing.assert_array_equal([found.spacing.spaced, found.spacing.unspaced], TABLE)


class Touch:
    """Pickled, it would make a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.path,)


def test_nothing_is_unpickled(folder: Path) -> None:
    made = folder / "made"
    trap = np.array([Touch(made), Touch(made)], dtype=object)
    for data in (pickle.dumps(Touch(made)), None):
        if data is None:
            np.save(folder / SPACING, trap, allow_pickle=True)
        else:
            (folder / SPACING).write_bytes(data)
        with pytest.raises(ValueError, match=r"cannot be used .*: export the model again"):
            read(folder)
    assert not made.exists()


@pytest.mark.parametrize(
    "data", [b"", b"PK\x03\x04 no archive", HUGE.ljust(127) + b"\n", b"\x93NUMPY\x01\x00", b"\x93NUMPY\x09\x00"]
)
def test_a_damaged_table_is_refused(folder: Path, data: bytes) -> None:
    (folder / SPACING).write_bytes(data)
    with pytest.raises(ValueError, match=r"cannot be used .*: export the model again"):
        read(folder)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (TABLE[0], r"spacing.npy is INT32 \(2, 10\), not int32 \(10,\)"),
        (TABLE[:, :9], r"not int32 \(2, 9\)"),
        (TABLE.astype(np.float32), r"not float32 \(2, 10\)"),
        (TABLE + 1, "has tokens from 0 to 9, not 1 to 10"),
        (TABLE - 1, "not -1 to 8"),
    ],
)
def test_a_table_of_another_vocabulary_is_refused(folder: Path, table: Any, words: str) -> None:
    np.save(folder / SPACING, table)
    with pytest.raises(ValueError, match=words):
        read(folder)


@pytest.mark.parametrize("text", ["", "[]", "[" * 100_000, '{"format": 1}'])
def test_a_damaged_manifest_is_refused(folder: Path, text: str) -> None:
    (folder / MANIFEST).write_text(text)
    with pytest.raises(ValueError, match=r"cannot be used .*: export the model again"):
        read(folder)


@pytest.mark.parametrize(("key", "value"), [("format", 2), ("precision", "fp8")])
def test_what_this_program_does_not_know_is_refused(folder: Path, key: str, value: object) -> None:
    document = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**document, key: value}))
    with pytest.raises(ValueError, match=f"its {key} is .*: export the model again"):
        read(folder)


def test_what_is_missing_is_named(folder: Path) -> None:
    for name in (WEIGHTS, SPACING):
        (folder / name).unlink()
    with pytest.raises(ValueError, match=r"lacks weights.bin, spacing.npy: export the model again"):
        read(folder)

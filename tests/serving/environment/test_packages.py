"""What folders of installed packages lack is told by names: the packages, their Python, and why one is not imported."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from serving.environment.packages import NEEDED, NEEDED_ON_GPU, asked, folder_faults
from serving.errors import RuntimeSetupError
from serving.runtime import installed_runtime

THIS = f"{sys.version_info.major}{sys.version_info.minor}"
OTHER = "312" if THIS == "311" else "311"


def write_packages(folder: Path, python: str = THIS, missing: str = "") -> Path:
    """A folder with Triton and packages, as far as their names tell."""
    (folder / "pytriton" / "tritonserver" / "bin").mkdir(parents=True)
    (folder / "pytriton" / "tritonserver" / "bin" / "tritonserver").touch()
    for name in NEEDED:
        if name != missing:
            (folder / name / "core").mkdir(parents=True)
            (folder / name / "__init__.py").touch()
            (folder / name / "core" / f"_native.cpython-{python}-x86_64-linux-gnu.so").touch()
    return folder


def test_folders_with_all_of_it_pass(tmp_path: Path) -> None:
    whole = write_packages(tmp_path / "whole")
    assert folder_faults([whole]) == []
    (fault,) = folder_faults([whole], NEEDED_ON_GPU)
    assert f"there is no torch in {whole}: install it there" in fault


def test_all_that_is_missing_is_told_before_anything_is_made(tmp_path: Path) -> None:
    packages = write_packages(tmp_path / "packages", OTHER, missing="tokenizers")
    with pytest.raises(RuntimeSetupError) as caught:
        installed_runtime(tmp_path / "cache", [packages])
    assert f"there is no tokenizers in {packages}" in str(caught.value)
    dotted = f"{OTHER[0]}.{OTHER[1:]}"
    assert f"numpy in {packages}, onnxruntime in {packages} is for Python {dotted}: run this with python" in str(
        caught.value
    )
    assert not (tmp_path / "cache").exists()


def test_a_package_that_is_not_imported_is_named_with_the_first_cause(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(
        "try:\n    import not_there_at_all\nexcept ImportError as error:\n"
        "    raise ImportError('\\n\\nIMPORTANT: PLEASE READ THIS\\n\\nOriginal error above') from error\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    said = asked(sys.executable, environment, "bring('broken'), bring('absent_as_well')\n")
    assert said == (
        "broken cannot be imported (ModuleNotFoundError: No module named 'not_there_at_all'); "
        "absent_as_well is not there"
    )
    assert asked(sys.executable, environment, "bring('json')\n") == ""
    assert "ended with exit code 3" in asked(sys.executable, environment, "sys.exit(3)\n")

"""The evaluation of a champion, kept with its run in MLflow since its promotion."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from training.errors import TrackingError
from training.tracking.client import first_line

from .report import DOCUMENT, SCORES, Report, read_report

FOLDER: Final = "served_evaluation"
"""In the run's artifacts."""


def keep(client: Any, version: Any, report: Report) -> None:
    """Keep an evaluation with the run of a registered version.

    Raises:
        TrackingError: The server refuses.
    """
    files = [report.path, *([report.path.with_name(SCORES)] if report.scores is not None else [])]
    try:
        with tempfile.TemporaryDirectory() as place:
            for file, name in zip(files, (DOCUMENT, SCORES), strict=False):
                copy = Path(place) / name
                copy.write_bytes(file.read_bytes())
                client.log_artifact(version.run_id, str(copy), FOLDER)
        client.set_model_version_tag(version.name, version.version, "served_revision", report.revision)
    except Exception as error:  # MLflow raises what its stores raise
        raise TrackingError(f"the evaluation cannot be kept with the run: {first_line(error)}") from error


@contextmanager
def kept(client: Any, version: Any) -> Iterator[Report]:
    """The evaluation that was kept with the run of a registered version.

    Raises:
        TrackingError: There is none, or it cannot be fetched.
    """
    try:
        names = [item.path for item in client.list_artifacts(version.run_id, FOLDER)]
    except Exception as error:  # MLflow raises what its stores raise
        raise TrackingError(f"the champion's run cannot be looked at: {first_line(error)}") from error
    if f"{FOLDER}/{DOCUMENT}" not in names:
        raise TrackingError(
            f"{version.name}: no evaluation is kept with the champion, version {version.version}, for it was promoted "
            "without one; evaluate it as it is served and name that folder with --against DIR"
        )
    with tempfile.TemporaryDirectory() as place:
        try:
            found = client.download_artifacts(version.run_id, FOLDER, place)
        except Exception as error:  # MLflow raises what its stores raise
            raise TrackingError(f"the champion's evaluation cannot be fetched: {first_line(error)}") from error
        yield read_report(Path(found))

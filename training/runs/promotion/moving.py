"""Moving the alias of the champion, and what the tags of a version say of it."""

from __future__ import annotations

import getpass
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from infolens.contract import Task
from training.errors import TrackingError
from training.tracking.client import first_line
from training.tracking.recording import CHAMPION

from .versions import PREVIOUS, PROMOTED_AT, PROMOTED_BECAUSE, PROMOTED_BY, REFUSED_BECAUSE, Version

logger = logging.getLogger(__name__)


def crown(client: Any, task: Task, chosen: Version, champion: Version | None, why: str) -> None:
    """Move the alias of the champion, which MLflow does at once or not at all, and say so in the version's tags.

    Args:
        client: An ``mlflow.MlflowClient``.
        task: Whose registered model.
        chosen: The new champion.
        champion: The champion that it was compared with; gets the alias `PREVIOUS`.
        why: Why it was chosen, for the tag.

    Raises:
        TrackingError: The champion is another by now, or the registry refuses; the champion is then as it was.
    """
    try:
        holds = client.get_registered_model(task.value).aliases.get(CHAMPION)
        if (0 if holds is None else int(holds)) != (0 if champion is None else champion.number):
            raise TrackingError(f"{task.value}: version {holds} became the champion meanwhile; start again to compare")
        if champion is not None:
            client.set_registered_model_alias(task.value, PREVIOUS, str(champion.number))
        client.set_registered_model_alias(task.value, CHAMPION, str(chosen.number))
    except TrackingError:
        raise
    except Exception as error:  # MLflow raises what its stores raise
        raise TrackingError(f"the registry does not move the champion: {first_line(error)}") from error
    now = datetime.now(tz=UTC).isoformat(timespec="seconds")
    tags = {PROMOTED_AT: now, PROMOTED_BECAUSE: _with_history(why, chosen)[:5000], PROMOTED_BY: _user()}
    try:
        for name, value in tags.items():
            client.set_model_version_tag(task.value, str(chosen.number), name, value)
        if REFUSED_BECAUSE in chosen.tags:
            client.delete_model_version_tag(task.value, str(chosen.number), REFUSED_BECAUSE)
    except Exception as error:  # MLflow raises what its stores raise
        logger.warning("version %s is promoted, but its tags do not say so: %s", chosen.number, first_line(error))


def _with_history(why: str, chosen: Version) -> str:
    """Why a version was promoted now, and before that why each time it was promoted earlier."""
    if PROMOTED_AT not in chosen.tags:
        return why
    return f"{why} | {chosen.tags[PROMOTED_AT][:10]}: {chosen.tags.get(PROMOTED_BECAUSE, '')}"


def note_refusals(client: Any, task: Task, refused: Mapping[int, str]) -> None:
    """Say in the tags of versions that were judged why they did not become the champion.

    Args:
        client: An ``mlflow.MlflowClient``.
        task: Whose registered model.
        refused: Number of each version that was refused -> why.
    """
    for number, reason in refused.items():
        try:
            client.set_model_version_tag(task.value, str(number), REFUSED_BECAUSE, reason[:5000])
        except Exception as error:  # MLflow raises what its stores raise
            logger.warning("version %s was refused, but its tags do not say so: %s", number, first_line(error))


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container's user may have no name
        return "unknown"

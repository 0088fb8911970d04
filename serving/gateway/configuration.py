"""What the door is told at its start: one JSON document, written by whoever starts it."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, get_type_hints

from serving.edge.options import EdgeOptions
from serving.feedback.options import FeedbackOptions
from serving.intake.fetching.options import FetchOptions
from serving.reports.options import MAX_DAYS, ReportsOptions


class ConfigurationError(Exception):
    """The door cannot use its configuration; the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class GatewayLimits:
    """What the door takes; whatever is beyond a limit is refused."""

    max_body_bytes: int = 4 * 2**20
    """The body of one request, in HTTP as in gRPC."""
    max_file_bytes: int = 16 * 2**20
    """A file, or a table, over HTTP."""
    max_inputs: int = 16
    max_outputs: int = 64
    max_parameters: int = 64
    """Parameters of one request, its tensors' among them."""
    max_header_bytes: int = 16 * 2**10
    """All headers of one request together (gRPC calls them metadata)."""
    max_headers: int = 100
    min_body_bytes_per_s: int = 1024
    """A body that comes more slowly is given up once `min_body_time_s` are over."""
    min_body_time_s: float = 10.0
    """How long any body may take."""
    max_body_time_s: float = 60.0
    """How long no body may take."""
    max_held_bytes: int = 256 * 2**20
    """Requests that are being read or answered have no more bytes together, over HTTP and over gRPC each."""
    max_json_depth: int = 20
    max_waiting: int = 256
    """Requests that wait at the same time, however soon their turn is; a model configuration can say less."""
    max_connections: int = 1024
    """gRPC connections at the same time; further ones are closed as they come."""
    max_streams: int = 1024
    """Calls that one gRPC connection may have open."""
    max_calls: int = 4096
    """gRPC calls that all connections together may have open."""
    key_rate_per_minute: int = 6000
    """Inferences in a minute of a key that says nothing else."""
    key_concurrency: int = 64
    """Inferences at the same time of a key that says nothing else."""
    exit_timeout_s: float = 10.0
    """How long requests in flight may take when the door is told to end."""


@dataclass(frozen=True, kw_only=True)
class RoomLimits:
    """How much is taken on at once."""

    max_running: int = 16
    """Requests that run in one branch at the same time."""
    max_wait_s: float = 0.5
    """One that would wait longer before it runs is refused, unless fewer wait than may run."""
    max_waiting: int = 256
    """Requests beyond this number are refused, however short the wait."""
    places: Mapping[str, int] = field(default_factory=dict)
    """Branches that have a number of places of their own, which is below ``max_running``."""


@dataclass(frozen=True, kw_only=True)
class GatewayOptions:
    """How to run the door."""

    host: str = "127.0.0.1"
    http_port: int = 8000
    """0 picks a free port, here and below; ``door.json`` says which."""
    grpc_port: int = 8001
    metrics_port: int = 8002
    triton_grpc: str
    """Where Triton's gRPC listens, such as ``127.0.0.1:43211``."""
    triton_metrics: str
    """Where Triton's metrics are, such as ``http://127.0.0.1:43212/metrics``."""
    state_file: Path
    """The supervisor's verdict; ``door.json`` is written beside it."""
    repository: Path
    config_name: str | None = None
    """Models are configured by ``<model>/configs/<config_name>.pbtxt`` where they have it."""
    expose_internal: bool = False
    """Whether the steps of the public models can be asked too."""
    admin_header: str = "infolens-admin-key"
    """The header that opens the management APIs (in gRPC metadata: ``triton-grpc-protocol-`` before it)."""
    admin_key: str = field(default="", repr=False)
    """Its value; empty keeps the management APIs closed to everybody."""
    triton_admin_key: str = field(default="", repr=False)
    """The value that Triton wants in that header. It stands on Triton's command line, so it is another one."""
    keys: bool | None = None
    """Whether callers need a key; None where the host lets other machines in."""
    keys_url: str = field(default="", repr=False)
    """Where the keys are kept, as a URL; empty for a file in the cache."""
    log_requests: bool = True
    """Whether the log has a line for each inference, or only for those that were not answered."""
    max_connection_age_s: float | None = None
    """After so long a gRPC connection is closed in order: what is in flight is answered, and its client connects again,
    to whom its DNS names then. None for never."""
    limits: GatewayLimits = field(default_factory=GatewayLimits)
    edge: EdgeOptions = field(default_factory=EdgeOptions)
    reports: ReportsOptions = field(default_factory=ReportsOptions)
    """As `check_reports` gives them; the door keeps none that is not told to."""
    feedback: FeedbackOptions = field(default_factory=FeedbackOptions)
    """As `check_feedback` gives them; the door keeps none that is not told to."""
    fetch: FetchOptions = field(default_factory=FetchOptions)
    """Whether and how links are fetched."""

    @property
    def door_file(self) -> Path:
        """Where the door says on which ports it listens."""
        return self.state_file.parent / "door.json"

    @property
    def board_file(self) -> Path:
        """Where the models read who has left; the supervisor tells them of it."""
        return self.state_file.parent / "board"

    @property
    def counts_folder(self) -> Path:
        """Where summarizers write what they count; the launcher tells them of it."""
        return self.state_file.parent / "counts"


# What JSON has for each type of a field; a boolean is no number here.
_KINDS: Final[Mapping[Any, tuple[type, ...]]] = {
    str: (str,),
    Path: (str,),
    bool: (bool,),
    bool | None: (bool, type(None)),
    int: (int,),
    float: (int, float),
    float | None: (int, float, type(None)),
    str | None: (str, type(None)),
    Path | None: (str, type(None)),
    tuple[str, ...]: (list,),
}
_GROUPS: Final = ("limits", "edge", "reports", "feedback", "fetch")


def read_options(path: Path) -> GatewayOptions:
    """Read the configuration of the door.

    Raises:
        ConfigurationError: The file cannot be read, or a setting is missing, unknown or of a wrong kind.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"the door's configuration {path} cannot be read: {error}") from None
    if not isinstance(document, dict):
        raise ConfigurationError(f"the door's configuration {path} is a JSON object, not {type(document).__name__}")
    limits, edge, reports, feedback, fetch = groups = [document.pop(name, {}) for name in _GROUPS]
    for name, group in zip(_GROUPS, groups, strict=True):
        if not isinstance(group, dict):
            raise ConfigurationError(f"{name} in {path} is a JSON object, not {json.dumps(group)}")
    values = _checked(GatewayOptions, document, path)
    for name, port in values.items():
        if name.endswith("_port") and not 0 <= port <= 65535:
            raise ConfigurationError(f"{name} in {path} lies between 0 and 65535, not {port}")
    age_s = values.get("max_connection_age_s")
    if age_s is not None and not 0 < age_s < math.inf:
        raise ConfigurationError(f"max_connection_age_s in {path} is a number of seconds above 0, or null, not {age_s}")
    checked_limits = _checked(GatewayLimits, limits, path)
    for name, value in checked_limits.items():
        if value <= 0:
            raise ConfigurationError(f"limits.{name} in {path} is above 0, not {value}")
    checked_edge = EdgeOptions(**_checked(EdgeOptions, edge, path))
    checked_reports = ReportsOptions(**_checked(ReportsOptions, reports, path))
    if not 1 <= checked_reports.days <= MAX_DAYS:
        raise ConfigurationError(f"reports.days in {path} lies between 1 and {MAX_DAYS}, not {checked_reports.days}")
    checked_feedback = FeedbackOptions(**_checked(FeedbackOptions, feedback, path))
    if checked_feedback.problem:
        raise ConfigurationError(f"feedback.{checked_feedback.problem}: so it stands in {path}")
    return GatewayOptions(
        **values,
        limits=GatewayLimits(**checked_limits),
        edge=checked_edge,
        reports=checked_reports,
        feedback=checked_feedback,
        fetch=FetchOptions(**_checked(FetchOptions, fetch, path)),
    )


def _checked(kind: type, document: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The fields of a dataclass from a JSON object."""
    hints = get_type_hints(kind)
    fields = {one.name: one for one in dataclasses.fields(kind) if one.name not in _GROUPS}
    if unknown := sorted(document.keys() - fields.keys()):
        raise ConfigurationError(f"{path} has settings that the door does not know: {unknown}; it knows {list(fields)}")
    missing_values = (dataclasses.MISSING, dataclasses.MISSING)
    needed = [name for name, one in fields.items() if (one.default, one.default_factory) == missing_values]
    if missing := [name for name in needed if name not in document]:
        raise ConfigurationError(f"{path} lacks the settings {missing}")
    values: dict[str, Any] = {}
    for name, value in document.items():
        allowed = _KINDS[hints[name]]
        if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
            names = " or ".join(one.__name__ for one in allowed)
            raise ConfigurationError(f"{name} in {path} is of the type {names}, not {json.dumps(value)}")
        if isinstance(value, str) and hints[name] in (Path, Path | None):
            values[name] = Path(value)
        else:
            values[name] = tuple(value) if isinstance(value, list) else value
    return values

"""What both doors share: one of each in a process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from serving.feedback.keeper import Keeper as FeedbackKeeper
from serving.reports.keeper import Keeper

from .access.doorkeeper import Doorkeeper
from .admission import WaitingRoom
from .branches import Branches
from .calls import Inferences
from .catalogue import Catalogue
from .configuration import GatewayOptions
from .intake import Intake
from .metrics import GatewayMetrics
from .recording.recorder import Recorder
from .served import Served
from .upstream import Upstream
from .verdict import VerdictFile


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The parts that answer a request."""

    options: GatewayOptions
    verdicts: VerdictFile
    upstream: Upstream
    inferences: Inferences
    catalogue: Catalogue
    served: Served
    room: WaitingRoom
    branches: Branches
    metrics: GatewayMetrics
    doorkeeper: Doorkeeper
    reports: Keeper
    feedback: FeedbackKeeper
    recorder: Recorder
    intake: Intake
    log: Any

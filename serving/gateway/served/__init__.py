"""What answers each task: model, version, revision, labels, limits, and where it comes from; told by both doors."""

from .models import Served, ServedTask
from .parameters import with_served

__all__ = ["Served", "ServedTask", "with_served"]

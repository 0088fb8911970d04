"""Reading processes: files of strangers are read in them, within limits, and never in the door itself.

>>> async with Readers() as readers:
...     document = await readers.article(data, name="story.pdf")
"""

from serving.intake.errors import ReadError, ReadersAwayError, ReadersBusyError

from .pool import ReaderLimits, Readers

__all__ = ["ReadError", "ReaderLimits", "Readers", "ReadersAwayError", "ReadersBusyError"]

"""The command ``infolens``: its options, and what an error becomes. `_commands.running` does the work.

The work is loaded when it is done, so that help and refusals need no transport.
"""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
from collections.abc import Sequence

from ._commands.parser import make_parser
from ._commands.usage import NO_SERVER, SOME_FAILED, USAGE, complain
from .errors import (
    AuthenticationError,
    InfoLensError,
    InvalidSettingError,
    InvalidTableError,
    PermissionDeniedError,
    ServerUnavailableError,
    WrongServerError,
)

INTERRUPTED, PIPE_CLOSED = 128 + signal.SIGINT, 128 + signal.SIGPIPE


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = make_parser(analyze=_analyze, status=_status, rate=_rate, forget=_forget, quality=_quality).parse_args(
        arguments
    )
    # What gRPC has to say of a broken connection comes as an error; its own log would stand beside that.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that lacks a character shows a question mark instead of a traceback.
        sys.stdout.reconfigure(errors="replace")
    try:
        code: int = options.run(options)
        sys.stdout.flush()
    except InfoLensError as error:
        return complain(str(error), _exit_code(error), notes_of=error)
    except BrokenPipeError:
        # What is still buffered has no reader any more; Python would complain about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except KeyboardInterrupt as interrupt:
        return complain("interrupted", INTERRUPTED, notes_of=interrupt)
    return code


def _exit_code(error: InfoLensError) -> int:
    if isinstance(error, InvalidSettingError | InvalidTableError | AuthenticationError | PermissionDeniedError):
        return USAGE
    return NO_SERVER if isinstance(error, ServerUnavailableError | WrongServerError) else SOME_FAILED


def _status(options: argparse.Namespace) -> int:
    from ._commands.running import status

    return status(options)


def _analyze(options: argparse.Namespace) -> int:
    from ._commands.running import analyze

    return analyze(options)


def _rate(options: argparse.Namespace) -> int:
    from ._commands.feedback.running import rate

    return rate(options)


def _forget(options: argparse.Namespace) -> int:
    from ._commands.feedback.running import forget

    return forget(options)


def _quality(options: argparse.Namespace) -> int:
    from ._commands.feedback.running import quality

    return quality(options)

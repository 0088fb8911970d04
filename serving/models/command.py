"""``python -m serving models``: writes the list of a folder's hashes, and fetches folders by such lists."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from serving.errors import ModelsError

from .fetch import Fetch, Progress, fetch
from .sums import LIST, check_hex, write_sums

EPILOG: Final = """\
examples:
  python -m serving models sums model_repository            write model_repository/SHA256SUMS, and print its own SHA-256
  python -m serving models fetch s3://bucket/prefix /models --sha256 HEX
                                                            bring here what that list names and /models lacks
  python -m serving models fetch /mnt/models /models        the same from a folder

SHA256SUMS has the form of sha256sum, so that `sha256sum -c SHA256SUMS` checks a folder without this program. Copy a
folder to a bucket as a whole, and the list last. Whoever can write to the bucket can write another list too: --sha256
holds the list itself against what `sums` printed. A second fetch of the same only reads what is there.

The object store is told by AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_DEFAULT_REGION and AWS_ENDPOINT_URL, or as
boto3 finds it otherwise. It needs boto3 and other URLs fsspec: .venv/bin/python -m pip install -e '.[models]'

exit codes: 0 done, 1 not done (the folder is as it was), 2 wrong usage, 130 broken off
"""


def main(argv: Sequence[str]) -> int:
    """Run the command; returns the exit code."""
    args = _parser().parse_args(argv)
    try:
        _COMMANDS[args.command](args)
    except (ModelsError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _sums(args: argparse.Namespace) -> None:
    count, own = write_sums(args.folder)
    print(f"{args.folder / LIST} names {count} files; for --sha256:", file=sys.stderr)
    print(own)


def _fetch(args: argparse.Namespace) -> None:
    def tell(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    found = fetch(Fetch(source=args.source, folder=args.folder, pin=args.sha256, jobs=args.jobs), Progress(tell))
    kept = found.files - found.downloaded
    deleted = f", {found.deleted} of the list before deleted" if found.deleted else ""
    tell(
        f"{args.folder} has the {found.files} files of {LIST}: {found.downloaded} fetched "
        f"({found.bytes_downloaded / 1e6:,.1f} MB), {kept} were there{deleted}"
    )


_COMMANDS: Final[Mapping[str, Callable[[argparse.Namespace], None]]] = {"sums": _sums, "fetch": _fetch}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m serving models",
        description="Write down the hashes of a model repository, and fetch one by its hashes.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    sums = commands.add_parser("sums", help=f"write DIR/{LIST} and print its SHA-256", description=f"Write DIR/{LIST}.")
    sums.add_argument("folder", type=Path, metavar="DIR", help="the models")
    fetching = commands.add_parser(
        "fetch",
        help="bring a folder here and check every hash",
        description=f"Bring what SOURCE/{LIST} names to DEST, all of it or nothing.",
    )
    fetching.add_argument("source", metavar="SOURCE", help="a folder, s3://bucket/prefix, or another URL")
    fetching.add_argument("folder", type=Path, metavar="DEST", help="where to; made if it is not there")
    fetching.add_argument("--sha256", type=_hex, metavar="HEX", help=f"the SHA-256 that {LIST} itself must have")
    fetching.add_argument("--jobs", type=_jobs, default=8, metavar="N", help="files that come at the same time (8)")
    return parser


def _hex(text: str) -> str:
    try:
        return check_hex(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _jobs(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 64:
        raise argparse.ArgumentTypeError(f"it lies between 1 and 64, not {number}")
    return number

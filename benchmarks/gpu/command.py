"""``python -m benchmarks gpu``: as much as some minutes on a GPU allow."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Final

from benchmarks.common.machine import this_machine
from benchmarks.common.server import RESULTS, ROOT, BenchmarkError

from .children.pool import Children
from .context import MODELS, SERVING
from .plan import FULL_S, PARTS, parts_of
from .report.files import stem_of, summary, write
from .report.headlines import in_short
from .report.page import Facts
from .run import Run, run_parts, tell

LEAST_S: Final = 10.0
DRY_RUN_OUT: Final = ROOT / ".cache" / "gpu-dry-run"
DESCRIPTION = """\
Measures the models of Info Lens on one GPU: their full shapes with random weights, since speed does not depend on
weights. It needs PyTorch, transformers and matplotlib, and neither Triton nor its client, so that a bare machine that
is lent for minutes can run it.

Each part has a process of its own and a share of the time; a part that fails, hangs or runs out of memory ends alone.
What a part leaves of its time goes to the next one. Results are on disk after each part.
"""
EPILOG = """\
parts, with their seconds of {full:.0f}:
{parts}

Later parts hold their times against the rates that preflight measures: name it too where floors are wanted.

examples:
  python -m benchmarks gpu --dry-run                               small models on the processor: does all of it run?
  python -m benchmarks gpu                                         the whole run ({minutes:.0f} minutes)
  python -m benchmarks gpu --seconds 200 --part preflight --part training
  python -m benchmarks gpu --out reports                           leave the committed report alone

It writes <card>-<date>.md, .json and pictures. The last line of the output is one JSON document: the files, and how
each part ended.
exit codes: 0 measured (what could not be measured is in the report with its reason), 1 no GPU, or a part failed, died
or ran over its time, 2 wrong usage
"""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command ``gpu``."""
    width = max(len(part.name) for part in PARTS)
    parts = "\n".join(f"  {part.name:{width}}  {part.share_s:4.0f}  {part.title}" for part in PARTS)
    gpu = commands.add_parser(
        "gpu",
        description=DESCRIPTION,
        epilog=EPILOG.format(parts=parts, full=FULL_S, minutes=FULL_S / 60),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    gpu.add_argument(
        "--dry-run", action="store_true", help="small models on the processor, to see in a minute that all parts run"
    )
    gpu.add_argument(
        "--seconds", type=float, default=FULL_S, help="time of the whole run, with its report (default: %(default)g)"
    )
    gpu.add_argument(
        "--part",
        action="append",
        choices=[part.name for part in PARTS],
        metavar="NAME",
        help="only this part; repeat it for several (default: all but served)",
    )
    gpu.add_argument(
        "--serving",
        action="append",
        default=[],
        metavar="OPTION",
        help="an option for the server that the part served starts, such as --serving=--runtime=DIR",
    )
    gpu.add_argument(
        "--models",
        type=Path,
        metavar="DIR",
        help="keeps the models that the part served writes; a further run takes those that lie there",
    )
    gpu.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help=f"gets the report (default: {(RESULTS / 'gpu').relative_to(ROOT)}, or "
        f"{DRY_RUN_OUT.relative_to(ROOT)} with --dry-run)",
    )


def run_command(parser: argparse.ArgumentParser, args: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    began_s, day = time.monotonic(), date.today()
    if not LEAST_S <= args.seconds <= 24 * 3600:
        parser.error(f"--seconds is at least {LEAST_S:g} and at most a day, not {args.seconds:g}")
    parts = parts_of(args.part or ())
    out = args.out or (DRY_RUN_OUT if args.dry_run else RESULTS / "gpu")
    check_writable(out)
    children = Children()
    if args.dry_run:
        # Small models gain nothing by threads, and lose much where other processes work on the same cores.
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        card = this_machine().cpu
        children.warm()
    else:
        card = children.look()
    given = {SERVING: args.serving, MODELS: str(args.models.resolve()) if args.models else ""}
    run = Run(card=card, toy=args.dry_run, parts=parts, seconds=args.seconds, method=children.method, given=given)
    facts = Facts(command=_command(args), machine=this_machine(), day=day)
    stem = out / stem_of(run, (args.part and [part.name for part in parts]) or (), day)
    paths: list[Path] = []
    try:
        run_parts(run, children, began_s=began_s, flush=lambda run: flush(run, facts, stem))
    finally:
        try:
            paths = write(run, facts, stem, pictures=True)
            tell(f"wrote {', '.join(map(str, paths))}")
        except OSError as error:
            tell(f"error: the report cannot be written to {out} ({error}); what was measured stands above")
        print("\n".join(in_short(run)))
        print(json.dumps(summary(run, paths)), flush=True)
    return 1 if run.broken or not paths else 0


def check_writable(folder: Path) -> None:
    """Make the folder of the report, and try to write there: minutes later would be too late to learn that it fails.

    Raises:
        BenchmarkError: It cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise BenchmarkError(
            f"the report goes into a folder that can be written to, but {folder} cannot ({error.strerror}): name "
            "another one with --out"
        ) from None


def flush(run: Run, facts: Facts, stem: Path) -> None:
    """Write the report so far; a disk that is full costs no measurement, and may have room again at the end."""
    try:
        write(run, facts, stem, pictures=False)
    except OSError as error:
        tell(f"warning: the report so far cannot be written ({error}); the run goes on")


def _command(args: argparse.Namespace) -> str:
    """The command as the report has it: without the folder, which is a matter of the machine that it ran on."""
    words = ["python -m benchmarks gpu", *(["--dry-run"] if args.dry_run else [])]
    words += [f"--seconds {args.seconds:g}"] if args.seconds != FULL_S else []
    return " ".join([*words, *(f"--part {name}" for name in args.part or ())])

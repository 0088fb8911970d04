"""The commands ``tune``, ``compare`` and ``plan``."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from infolens.contract import Task
from training.errors import SettingError
from training.stopping import going_on

from .options import add_recipe_options, add_tracking_options, recipe_from, tracking_from

_TUNE: Final = """\
example:
  python -m training tune category --data category.parquet --samples 20 --out tuning/category
  python -m training fit category --config tuning/category/best.toml --out checkpoints/category

Each trial draws its learning rate (log-uniform), batch size, optimizer, warm-up and weight decay; all else is as the
recipe says. After each measurement ASHA stops all but the best half of the trials that came as far. A trial that
diverges or fails is noted, and the others go on.

DIR then holds best.toml, and what each trial reached: trials.md, trials.json, tuning.png. In MLflow each trial is a run
below the search's own. While it runs, each trial keeps its newest checkpoint in DIR/trials; at the end these are gone.

A search that was stopped (Ctrl-C, SIGTERM) writes no best.toml and goes on with the same command: trials that ended are
kept, the others go on from their checkpoints. To take the best of what there is instead, and train no more:
  python -m training tune category --out tuning/category --best-so-far
"""

_PLAN: Final = """\
example: BART large (406 M parameters) on up to 16 GPUs that exchange 25 GB/s, when one GPU takes 12 ms an article
  python -m training plan --report training/results/compare.json --strategy fsdp --workers 1,4,8,16 \\
      --articles 287000 --epochs 3 --batch 16 --parameters-m 406 --article-ms 12 --bandwidth-gb-s 25

before there is a GPU: an estimate from the operations of an article (recipes/README.md has those of the large bases)
  python -m training plan --report training/results/compare.json --strategy ddp --workers 1,4 --articles 287000 \\
      --epochs 3 --batch 8 --accumulation 8 --parameters-m 406 --device a100 --article-tflop 1.28 --bandwidth-gb-s 10

Measure --article-ms with one GPU: 'fit' writes the time of a step into metrics.json (workers, step_ms); divide it by
the articles of a batch. Exchange that hides behind computing is not taken off, so real clusters do a little better.
Beside each prediction stands how far the model was off on the comparison's own cells: plan with that margin.
"""


def add(commands: Any) -> None:
    """Add the commands."""
    _add_tune(commands)
    _add_compare(commands)
    _add_plan(commands)


def _add_tune(commands: Any) -> None:
    tune = commands.add_parser(
        "tune",
        help="search for good settings, stopping poor trials early",
        description="Search for a recipe with Ray Tune and ASHA, and write the best one as TOML.",
        epilog=_TUNE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_recipe_options(tune)
    tune.add_argument("--out", required=True, type=Path, metavar="DIR", help="the search's folder")
    tune.add_argument("--samples", type=int, default=10, metavar="N", help="trials (default: 10)")
    tune.add_argument("--concurrent", type=int, default=1, metavar="N", help="trials at a time (default: 1)")
    tune.add_argument(
        "--measurements", type=int, default=4, metavar="N", help="measurements of a whole trial (default: 4)"
    )
    tune.add_argument(
        "--best-so-far",
        action="store_true",
        help="train nothing: write best.toml from what a search that was stopped has measured",
    )
    add_tracking_options(tune)
    tune.set_defaults(run=_tune)


def _add_compare(commands: Any) -> None:
    compare = commands.add_parser(
        "compare",
        help="measure workers, DDP, FSDP, batch sizes, precisions and accumulation",
        description="Train the same model in many ways, each for the same passes over the same articles, and write "
        "compare.md, compare.json and compare.png. A comparison that was cut off goes on with the same command.",
    )
    add_recipe_options(compare)
    compare.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder of the comparison")
    compare.add_argument("--workers", default="1,2,4", metavar="N,...", help="numbers of workers (default: 1,2,4)")
    compare.add_argument("--strategies", default="ddp,fsdp", metavar="S,...", help="default: ddp,fsdp")
    compare.add_argument("--batches", default="8,16,32", metavar="N,...", help="batch sizes of one worker")
    compare.add_argument("--precisions", default="fp32,bf16", metavar="P,...", help="default: fp32,bf16")
    compare.add_argument("--accumulations", default="1,4", metavar="N,...", help="batches a step (default: 1,4)")
    compare.add_argument(
        "--repeats", type=int, default=1, metavar="N", help="measure every cell N times; the median counts"
    )
    add_tracking_options(compare)
    compare.set_defaults(run=_compare)


def _add_plan(commands: Any) -> None:
    plan = commands.add_parser(
        "plan",
        help="predict the time on N workers from a comparison",
        description="Predict training times, each with its error, from what 'compare' measured or from figures of your "
        "own GPU.",
        epilog=_PLAN,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    plan.add_argument("--report", required=True, type=Path, metavar="FILE", help="compare.json of a comparison")
    plan.add_argument("--workers", default="1,2,4,8", metavar="N,...", help="numbers of workers (default: 1,2,4,8)")
    plan.add_argument("--strategy", choices=["ddp", "fsdp"], default="ddp")
    plan.add_argument("--articles", type=int, required=True, metavar="N", help="articles of the training split")
    plan.add_argument("--epochs", type=float, default=3.0, metavar="N", help="passes over them (default: 3)")
    plan.add_argument("--batch", type=int, default=16, metavar="N", help="articles in a worker's batch (default: 16)")
    plan.add_argument("--accumulation", type=int, default=1, metavar="N", help="batches a step (default: 1)")
    plan.add_argument("--bandwidth-gb-s", type=float, metavar="X", help="between two workers (default: as measured)")
    plan.add_argument("--article-ms", type=float, metavar="X", help="of one worker, an article (default: as measured)")
    plan.add_argument("--device", metavar="NAME", help="estimate --article-ms for l4, a100 or h100; needs the next one")
    plan.add_argument("--article-tflop", type=float, metavar="X", help="10^12 operations of an article, there and back")
    plan.add_argument(
        "--utilisation", type=float, metavar="X", help="share of the device's peak that is reached (default: 0.2)"
    )
    plan.add_argument("--parameters-m", type=float, metavar="X", help="millions of parameters (default: as measured)")
    plan.set_defaults(run=_plan)


def _tune(options: argparse.Namespace) -> int:
    from training.runs.search.board import TUNED
    from training.runs.search.running import Search
    from training.runs.tuning import best_so_far, tune_recipe

    for name in ("samples", "concurrent", "measurements"):
        if getattr(options, name) < 1:
            raise SettingError(f"--{name} is 1 or more, not {getattr(options, name)}")
    if options.best_so_far:
        found = best_so_far(Task(options.task), options.out)
    else:
        task, recipe = recipe_from(options)
        search = Search(samples=options.samples, concurrent=options.concurrent, measurements=options.measurements)
        found = tune_recipe(
            task, recipe, options.out, search, tracking=tracking_from(options), ray_address=options.ray_address
        )
    best = {name: getattr(found.recipe, name) for name in TUNED}
    print(
        json.dumps(
            {
                "best": best,
                "score": found.score,
                "trials": found.trials,
                "stopped_early": found.stopped_early,
                "failed": found.failed,
                "unfinished": found.unfinished,
                "config": str(options.out / "best.toml"),
            }
        )
    )
    return 0


def _compare(options: argparse.Namespace) -> int:
    from training.runs.comparing import Matrix, compare

    task, recipe = recipe_from(options)
    if not recipe.cpus_per_worker:
        recipe = replace(recipe, cpus_per_worker=1)  # every worker alike, whether it is alone or not
    strategies = _names(options.strategies)
    if set(strategies) - {"ddp", "fsdp"}:
        raise SettingError(f"--strategies are ddp and fsdp, not {options.strategies}")
    matrix = Matrix(
        workers=_numbers("--workers", options.workers),
        strategies=strategies,
        batches=_numbers("--batches", options.batches),
        precisions=_names(options.precisions),
        accumulations=_numbers("--accumulations", options.accumulations),
        repeats=options.repeats,
    )
    with going_on(f"the cells that are done are in {options.out}: the same command goes on with the others"):
        compare(task, recipe, options.out, matrix, tracking=tracking_from(options), ray_address=options.ray_address)
    print((options.out / "compare.md").read_text(encoding="utf-8"))
    return 0


def _plan(options: argparse.Namespace) -> int:
    from training.runs.planning import Plan, plan_table

    estimate = _estimate(options)
    wanted = Plan(
        workers=_numbers("--workers", options.workers),
        strategy=options.strategy,
        articles=options.articles,
        epochs=options.epochs,
        per_device=options.batch,
        accumulation=options.accumulation,
        bandwidth_gb_s=options.bandwidth_gb_s,
        article_ms=options.article_ms if estimate is None else estimate,
        device=options.device or "",
        parameters_m=options.parameters_m,
    )
    try:
        table = plan_table(options.report, wanted)
    except (OSError, ValueError, KeyError) as error:
        raise SettingError(f"--report {options.report}: is no compare.json of a comparison: {error}") from error
    print(table)
    return 0


def _estimate(options: argparse.Namespace) -> float | None:
    """Milliseconds for an article on the named device; None where no device was named."""
    from training.runs.devices import UTILISATION, expected_article_ms

    if options.device is None:
        if options.article_tflop is not None or options.utilisation is not None:
            raise SettingError("--article-tflop and --utilisation estimate the time of a device: name it with --device")
        return None
    if options.article_tflop is None or options.article_ms is not None:
        raise SettingError("--device takes --article-tflop, and estimates --article-ms from it: leave that out")
    utilisation = UTILISATION if options.utilisation is None else options.utilisation
    try:
        return expected_article_ms(options.device, options.article_tflop, utilisation)
    except ValueError as error:
        raise SettingError(str(error)) from error


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _numbers(option: str, text: str) -> tuple[int, ...]:
    try:
        numbers = tuple(int(part) for part in _names(text))
    except ValueError:
        numbers = ()
    if not numbers or min(numbers) < 1:
        raise SettingError(f"{option} is a list of numbers from 1 on, such as 1,2,4, not {text!r}")
    return numbers

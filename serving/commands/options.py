"""The options that several commands take, each explained in one place."""

from __future__ import annotations

import argparse
import os
import secrets
from pathlib import Path
from typing import Any, Final

from infolens.targets import Target
from serving.arguments import new_file
from serving.intake.fetching.options import FetchOptions
from serving.runtime import CACHE, ROOT

from . import kinds

REPOSITORY: Final = ROOT / "model_repository"


def add_run(parser: argparse.ArgumentParser, words: str) -> None:
    """Add the folder in which Triton and the door meet."""
    parser.add_argument("--run", type=Path, required=True, metavar="DIR", help=words)


def add_triton(parser: argparse.ArgumentParser, *, log: str) -> None:
    """Add what is said of Triton and its models; `triton_options` reads it.

    Args:
        parser: Gets the options.
        log: Where Triton's log goes by itself.
    """
    add = parser.add_argument
    add("--repository", type=Path, default=REPOSITORY, metavar="DIR", help="the models (model_repository)")
    add("--config-name", metavar="NAME", help="use <model>/configs/NAME.pbtxt where a model has it")
    add(
        "--target",
        type=Target,
        choices=list(Target),
        default=Target.CPU,
        help="what models run on: this machine's cores, or its GPU with CUDA or TensorRT, for models that were "
        "exported with the same --target (cpu)",
    )
    add("--stand-in", action="store_true", help=argparse.SUPPRESS)  # a CPU in the GPU's place: gpu/stand_in.py
    add("--log-file", type=Path, metavar="FILE", help=f"Triton's log ({log})")
    add("--ready-timeout", type=kinds.seconds, default=300.0, metavar="S", help="seconds that loading may take (300)")
    add("--cache", type=Path, default=CACHE, metavar="DIR", help="where the runtime environment lives (.cache)")
    add(
        "--runtime",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="a folder of Python packages (site-packages) that are installed already, Triton's wheel among them: no "
        "environment is made. It may come again; the first of several counts where more have a package",
    )
    add(
        "--no-operators",
        action="store_true",
        help="ONNX Runtime's own operators and not the native ones, which are built with the machine's C++ compiler",
    )
    add(
        "--response-cache-mb",
        type=kinds.megabytes,
        default=0,
        metavar="MB",
        help="memory for answers to articles that come again, word for word (0: no cache)",
    )
    add("--verbose", action="store_true", help="Triton's log tells every request")
    add(
        "--gpu-metrics",
        action="store_true",
        help="nv_gpu_... in Triton's metrics, by DCGM, which NVIDIA's container has and Triton's wheel has not",
    )


def triton_options(args: argparse.Namespace) -> dict[str, Any]:
    """What `ServerOptions` are told of Triton and its models."""
    target: Target = args.target
    repository, name = args.repository, args.config_name or target.record.config_name
    if args.stand_in:
        from serving.gpu.stand_in import stand_in  # help waits for no protobuf

        repository, target = stand_in(repository, target, args.cache), Target.CPU
    return {
        "repository": repository,
        "config_name": name,
        "target": target,
        "installed": tuple(args.runtime),
        "log_file": args.log_file,
        "cache": args.cache,
        "ready_timeout_s": args.ready_timeout,
        "verbose": args.verbose,
        "gpu_metrics": args.gpu_metrics,
        "operators": not args.no_operators,
        "response_cache_bytes": args.response_cache_mb * 1_000_000,
        "trace_url": args.trace_url if args.trace_models or not args.trace_sample else None,
        "trace_all": not args.trace_sample,
        "serve_what_loads": True,
    }


def add_trace_url(parser: argparse.ArgumentParser) -> None:
    """Add where spans go."""
    parser.add_argument(
        "--trace-url",
        metavar="URL",
        help="an OpenTelemetry collector, such as http://localhost:4318/v1/traces. Without --trace-sample it gets the "
        "models' spans of every request, for a look inside and not for production: info_lens then answers one request "
        "after the other",
    )


def add_addresses(parser: argparse.ArgumentParser) -> None:
    """Add where people reach the server."""
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (127.0.0.1: this machine alone)")
    for kind, number in (("http", 8000), ("grpc", 8001), ("metrics", 8002)):
        words = f"{number}; 0 picks a free port"
        add(f"--{kind}-port", type=kinds.port, default=number, metavar="PORT", help=words)
    add(
        "--ready-file",
        type=new_file,
        metavar="FILE",
        help="write the URLs as JSON once ready; removed at the end",
    )


def add_callers(parser: argparse.ArgumentParser) -> None:
    """Add what callers need and may do."""
    add = parser.add_argument
    add("--expose-internal", action="store_true", help="the door answers for the steps of the public models too")
    add(
        "--keys",
        action=_YesOrNo,
        default=None,
        help="whether callers need a key (where --host lets other machines in they do); --no-keys lets everybody in "
        "who reaches the server",
    )
    add(
        "--keys-url",
        metavar="URL",
        help="where keys are kept, such as postgresql+psycopg://infolens@host/infolens, which several servers can "
        "share (or INFOLENS_KEYS_URL; a file in the cache)",
    )
    words = "inferences of a key in a minute, by each server alone (6000)"
    add("--key-rate-per-minute", type=kinds.count, default=6000, metavar="N", help=words)
    add(
        "--key-concurrency", type=kinds.count, default=64, metavar="N", help="inferences of a key at the same time (64)"
    )
    add_fetch(parser)
    add(
        "--max-connection-age",
        type=kinds.seconds,
        metavar="S",
        help="close a gRPC connection in order after so many seconds, so that its client looks up the servers anew; "
        "for several servers under one name, such as 300 (never)",
    )


def add_fetch(parser: argparse.ArgumentParser) -> None:
    """Add whether and how links are fetched; `fetch_options` reads it."""
    add = parser.add_argument
    add(
        "--fetch",
        action=_YesOrNo,
        default=None,
        help="whether the server fetches links to articles (where it listens on this machine alone it does, and where "
        "callers need keys, for those of the role fetch)",
    )
    add(
        "--fetch-allow",
        action="append",
        default=[],
        metavar="HOST-OR-NETWORK",
        help="a host or a network that links may lead to although it is private, or on another port than 80 and 443: "
        "desk.example, *.desk.example, desk.example:8080, 10.0.3.0/24, 127.0.0.1:8080; may come again (none)",
    )
    add(
        "--fetch-contact",
        default="",
        metavar="ADDRESS",
        help="where the owners of sites reach you, an address or a page, told to every site in the user agent (none)",
    )


def fetch_options(args: argparse.Namespace) -> FetchOptions:
    """Whether and how links are fetched, as it was given."""
    return FetchOptions(allowed=args.fetch, allow=tuple(args.fetch_allow), contact=args.fetch_contact)


class _YesOrNo(argparse.BooleanOptionalAction):
    """An option or its opposite, and not both."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Take one; refuse the other after it."""
        before = getattr(namespace, self.dest)
        super().__call__(parser, namespace, values, option_string)
        if before not in (None, getattr(namespace, self.dest)):
            parser.error(f"{' and '.join(self.option_strings)} say the opposite: give one of them")


def admin_key() -> str:
    """What opens the management APIs at the door: what the environment says, else a new one."""
    return os.environ.get("INFOLENS_ADMIN_KEY") or secrets.token_urlsafe(24)

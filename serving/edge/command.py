"""The words of the command line that are about the edge."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .certificates import read_pair
from .options import EdgeOptions


def add_edge(parser: argparse.ArgumentParser) -> None:
    """Add the options; `read_edge` reads them."""
    add = parser.add_argument
    add(
        "--tls-cert",
        type=Path,
        metavar="FILE",
        help="HTTP and gRPC under TLS: the certificate with its chain (PEM). A renewed file is taken up within "
        "seconds, without a restart. The metrics port stays plain",
    )
    add("--tls-key", type=Path, metavar="FILE", help="the key of the certificate (PEM, without a pass phrase)")
    add(
        "--cors-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="let web pages of this origin, such as https://desk.example, ask /v1 and health from a browser; may come "
        "again; * for all, only where callers need no keys (none)",
    )
    add(
        "--forwarded-allow",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="a proxy, or a network of them, whose X-Forwarded-For, -Proto and -Prefix count; may come again (none)",
    )
    add_trace_parts(parser)


def add_trace_parts(parser: argparse.ArgumentParser) -> None:
    """Add the options about which requests have spans; ``--trace-url`` says where they go."""
    add = parser.add_argument
    add(
        "--trace-sample",
        type=float,
        default=0.0,
        metavar="PART",
        help="with --trace-url: spans of the door for this part of the requests, such as 0.01 (0)",
    )
    add(
        "--trace-models",
        action="store_true",
        help="with --trace-sample: the models' spans too; a request with them holds up those behind it",
    )
    add(
        "--trace-asked",
        type=int,
        default=0,
        metavar="N",
        help="with --trace-sample: up to N requests a minute, evenly spread, have spans because their traceparent says "
        "that it is sampled; all callers share them (0: no caller can choose)",
    )


def read_edge(args: argparse.Namespace) -> EdgeOptions:
    """The options as they were given."""
    return EdgeOptions(
        tls_cert=args.tls_cert,
        tls_key=args.tls_key,
        cors_origins=tuple(args.cors_origin),
        forwarded_allow=tuple(args.forwarded_allow),
        trace_url=(args.trace_url or "") if args.trace_sample else "",
        trace_sample=args.trace_sample,
        trace_models=args.trace_models,
        trace_asked_per_minute=args.trace_asked,
    )


def words_about_tls(edge: Mapping[str, Any]) -> list[str]:
    """A line for people about the certificate, or none without TLS.

    Args:
        edge: The options as the door is told them.
    """
    if edge.get("tls_cert") is None:
        return []
    pair = read_pair(Path(edge["tls_cert"]), Path(edge["tls_key"]))
    until = time.strftime("%Y-%m-%d", time.gmtime(pair.ends_at_s))
    names = ", ".join(pair.names) or "no host"
    return [f"  TLS      for {names}, until {until}: ask by such a name (metrics are plain HTTP)"]

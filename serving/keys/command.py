"""``python -m serving keys``: makes keys, shows them, ends them."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from serving.errors import KeysError
from serving.runtime import CACHE

from .records import GRANTS, VARIABLE, KeyRecord, Role

if TYPE_CHECKING:
    from .store import KeyStore

EPILOG: Final = f"""\
examples:
  python -m serving keys create newsroom --role read              make a key; it is shown once, and kept nowhere
  python -m serving keys create import --role read --rate-per-minute 600 --concurrency 8 --expires 90
  python -m serving keys create desk --role fetch                 it may also give links, which the server fetches
  python -m serving keys list                                     names, roles, limits, last use
  python -m serving keys rotate newsroom                          a new key; the old one is valid for 24 hours more
  python -m serving keys revoke newsroom                          no key of this name is valid 5 seconds later

A caller sends it as the header `Authorization: Bearer KEY`, over gRPC as metadata of that name.
Keys lie in .cache/keys/keys.sqlite3, or where --keys-url or the environment variable {VARIABLE} says; several
servers can share a PostgreSQL. A password belongs into the variable, since everybody on the machine sees a command
line. A server that runs takes up every change by itself.

exit codes: 0 done, 1 not done, 2 wrong usage
"""
_MAX_RATE: Final = 100_000
"""The times of so many inferences are remembered for a minute, 200 bytes each."""
_MAX_CONCURRENCY: Final = 4096


def main(argv: Sequence[str]) -> int:
    """Run the command; returns the exit code."""
    args = _parser().parse_args(argv)
    from .location import read_url  # help and refusals wait for no database
    from .store import KeyStore

    try:
        store = KeyStore(read_url(args.keys_url, args.cache))
        try:
            _COMMANDS[args.command](store, args)
        finally:
            store.close()
    except KeysError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _create(store: KeyStore, args: argparse.Namespace) -> None:
    key, record = store.create(
        args.name,
        Role(args.role),
        rate_per_minute=args.rate_per_minute,
        concurrency=args.concurrency,
        expires_days=args.expires,
    )
    _tell_new(key, record, args, "")


def _rotate(store: KeyStore, args: argparse.Namespace) -> None:
    key, record = store.rotate(args.name, grace_s=3600 * args.grace_hours, expires_days=args.expires)
    _tell_new(key, record, args, f"; the old one is valid for {args.grace_hours:g} hours more")


def _revoke(store: KeyStore, args: argparse.Namespace) -> None:
    ended = store.revoke(args.name)
    if args.json:
        print(json.dumps({"name": args.name, "revoked": [one.start for one in ended]}))
        return
    starts = ", ".join(f"{one.start}..." for one in ended) or "none was valid any more"
    print(f"revoked '{args.name}' ({starts}); servers that run know it within 5 seconds")


def _list(store: KeyStore, args: argparse.Namespace) -> None:
    contents = store.read()
    records = () if contents is None else contents.keys
    now_s = time.time()
    if args.json:
        print(json.dumps([_document(one, now_s) for one in records], indent=2))
        return
    if not records:
        print(f"{store.shown} has no keys: make one with `python -m serving keys create NAME --role read`")
        return
    columns: Mapping[str, Callable[[KeyRecord], str]] = {
        "name": lambda one: one.name,
        "role": lambda one: one.role.value,
        "key": lambda one: f"{one.start}...",
        "state": lambda one: one.state(now_s).value,
        "created": lambda one: _day(one.created_s, ""),
        "expires": lambda one: _day(one.expires_s, "never"),
        "last used": lambda one: _day(one.last_used_s, "never"),
        "per minute": lambda one: str(one.rate_per_minute or "default"),
        "at once": lambda one: str(one.concurrency or "default"),
    }
    rows = [list(columns), *([show(one) for show in columns.values()] for one in records)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


_COMMANDS: Final[Mapping[str, Callable[[KeyStore, argparse.Namespace], None]]] = {
    "create": _create,
    "list": _list,
    "revoke": _revoke,
    "rotate": _rotate,
}


def _tell_new(key: str, record: KeyRecord, args: argparse.Namespace, more: str) -> None:
    """The key goes to standard output alone, so that it can be passed on without being seen."""
    if args.json:
        print(json.dumps({**_document(record, time.time()), "key": key}))
        return
    until = _day(record.expires_s, "")
    print(
        f"key '{record.name}' for {record.role.value}{f', valid until {until}' if until else ''}{more}. "
        "It is shown this once; only its SHA-256 is kept:",
        file=sys.stderr,
        flush=True,
    )
    print(key)


def _document(record: KeyRecord, now_s: float) -> dict[str, Any]:
    return {
        "name": record.name,
        "role": record.role.value,
        "start": record.start,
        "state": record.state(now_s).value,
        "created": _instant(record.created_s),
        "expires": _instant(record.expires_s),
        "revoked": _instant(record.revoked_s),
        "last_used": _instant(record.last_used_s),
        "rate_per_minute": record.rate_per_minute,
        "concurrency": record.concurrency,
    }


def _instant(seconds: int | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()


def _day(seconds: int | None, otherwise: str) -> str:
    return otherwise if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _between(least: float, most: float, kind: Callable[[str], float]) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = least - 1
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"it lies between {least:g} and {most:g}, not '{text:.40}'")
        return value

    return read


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m serving keys",
        description="The keys of those who may ask this server.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--keys-url", metavar="URL", help=f"where keys are kept (or {VARIABLE}; a file in the cache)")
    common.add_argument("--cache", type=Path, default=CACHE, metavar="DIR", help="the cache (.cache)")
    common.add_argument("--json", action="store_true", help="answer in JSON")
    named = argparse.ArgumentParser(add_help=False)
    named.add_argument("name", metavar="NAME", help="whose key it is; it stands in logs and metrics")
    lasting = argparse.ArgumentParser(add_help=False)
    days = _between(0.001, 36_500, float)
    lasting.add_argument("--expires", type=days, metavar="DAYS", help="how long it is valid (for ever)")
    actions = parser.add_subparsers(dest="command", required=True, metavar="create|list|revoke|rotate")
    create = actions.add_parser("create", parents=[named, lasting, common], help="make a key, and show it once")
    create.add_argument(
        "--role",
        required=True,
        choices=[role.value for role in GRANTS],
        help="read: ask models and see them; fetch: ask models, also about links that the server fetches; feedback: "
        "say what was right (nothing takes it yet); admin: everything",
    )
    create.add_argument(
        "--rate-per-minute",
        type=_between(1, _MAX_RATE, int),
        metavar="N",
        help="inferences in a minute (the server's --key-rate-per-minute)",
    )
    create.add_argument(
        "--concurrency",
        type=_between(1, _MAX_CONCURRENCY, int),
        metavar="N",
        help="inferences at the same time (the server's --key-concurrency)",
    )
    actions.add_parser("list", parents=[common], help="show all keys, without what opens anything")
    actions.add_parser("revoke", parents=[named, common], help="end all keys of a name")
    rotate = actions.add_parser("rotate", parents=[named, lasting, common], help="a new key in the place of another")
    rotate.add_argument(
        "--grace-hours",
        type=_between(0, 24 * 366, float),
        default=24.0,
        metavar="H",
        help="how long the old one stays valid (24)",
    )
    return parser

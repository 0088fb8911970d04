"""The files that are made of others: dashboards of code, and what a cluster gets of dashboards and rules."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from .boards import load, quality, serving, training
from .boards.panels import Board

HERE: Final = Path(__file__).parent
BOARDS: Final[tuple[Board, ...]] = (serving.SERVING, quality.BOARD, load.BOARD, training.BOARD)
COMPONENT: Final = HERE.parent / "components" / "monitoring"
_LABELS: Final = {"app.kubernetes.io/name": "infolens", "app.kubernetes.io/part-of": "infolens"}
_MADE: Final = "# Made of k8s/monitoring by `python -m k8s dashboards`; do not edit.\n"


class RulesError(Exception):
    """The rules cannot be read; the message says why and what to do."""


def wanted() -> Iterator[tuple[Path, str]]:
    """Each file that is made, and what it must hold."""
    from .grafana import dashboard_json

    made = {f"{board.uid}.json": dashboard_json(board) for board in BOARDS}
    for name, text in made.items():
        yield HERE / "dashboards" / name, text
    # The label by which Grafana's sidecar finds dashboards, as its Helm chart sets it up.
    labels = {**_LABELS, "grafana_dashboard": "1"}
    yield COMPONENT / "dashboards.yaml", _yaml("v1", "ConfigMap", "infolens-dashboards", labels, data=made)
    rules = HERE / "prometheus" / "rules"
    groups = [group for file in sorted(rules.glob("*.yaml")) for group in _groups(file)]
    if not groups:
        raise RulesError(f"there are no rules in {rules}: a cluster would get none either; bring the files back")
    spec = {"groups": groups}
    yield COMPONENT / "rules.yaml", _yaml("monitoring.coreos.com/v1", "PrometheusRule", "infolens", _LABELS, spec=spec)


def _groups(file: Path) -> list[Any]:
    try:
        groups = yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        raise RulesError(f"{file} holds no groups of rules ({error}); promtool check rules says more") from None
    if not isinstance(groups, list):
        raise RulesError(f"groups in {file} is a list of groups of rules, not {groups!r}")
    return groups


def stale() -> dict[Path, str]:
    """The made files that are not as they must be, and what they must hold.

    Raises:
        RulesError: The rules cannot be read.
    """
    return {path: text for path, text in wanted() if not path.is_file() or path.read_bytes() != text.encode()}


def write() -> list[Path]:
    """Write those anew; returns them."""
    changed = stale()
    for path, text in changed.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.partial")
        partial.write_text(text, encoding="utf-8")
        partial.rename(path)
    return list(changed)


def _yaml(version: str, kind: str, name: str, labels: dict[str, str], **rest: Any) -> str:
    thing = {"apiVersion": version, "kind": kind, "metadata": {"name": name, "labels": labels}, **rest}
    return _MADE + str(yaml.dump(thing, Dumper=_Dumper, sort_keys=False, width=160))


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]  # it has no annotations
    """Writes texts of several lines as blocks."""


def _text(dumper: yaml.SafeDumper, text: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)

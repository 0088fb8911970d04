"""Objects against the schemas of their kinds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from .objects import CheckError, Finding, name_of

KUBERNETES: Final = "1.34"
"""The version whose schemas count."""
CUSTOM: Final = frozenset(
    {
        "cert-manager.io",
        "gateway.networking.k8s.io",
        "keda.sh",
        "monitoring.coreos.com",
        "ray.io",
    }
)
"""Groups of custom resources that these manifests use; their schemas come with `--schemas`."""


def invalid(things: Sequence[Mapping[str, Any]], schemas: Path | None) -> Iterator[Finding]:
    """Objects that are not as their schema says, or that have none."""
    import kubernetes_validate
    from jsonschema import Draft202012Validator

    for thing in things:
        version = str(thing.get("apiVersion", ""))
        group = version.rpartition("/")[0]
        if group in CUSTOM:
            schema = _custom(schemas, version, str(thing.get("kind")))
            for error in [] if schema is None else Draft202012Validator(schema).iter_errors(thing):
                yield Finding(rule="schema", where=f"{name_of(thing)} {error.json_path}", words=error.message[:300])
            continue
        try:
            kubernetes_validate.validate(dict(thing), KUBERNETES, strict=True)
        except kubernetes_validate.ValidationError as error:
            path = ".".join(str(part) for part in error.path)
            yield Finding(rule="schema", where=f"{name_of(thing)} {path}", words=str(error.message)[:300])
        except kubernetes_validate.SchemaNotFoundError:
            yield Finding(
                rule="kind",
                where=name_of(thing),
                words=f"Kubernetes {KUBERNETES} knows no {thing.get('kind')} of {version}: mend apiVersion or kind",
            )


def without_schema(things: Sequence[Mapping[str, Any]], schemas: Path | None) -> list[str]:
    """Objects that nothing could be said of, since no schema of their kind is at hand."""
    return [
        name_of(thing)
        for thing in things
        if str(thing.get("apiVersion", "")).rpartition("/")[0] in CUSTOM
        and _custom(schemas, str(thing["apiVersion"]), str(thing.get("kind"))) is None
    ]


@cache
def _custom(schemas: Path | None, version: str, kind: str) -> Any:
    """The schema of a custom resource; None where no folder of schemas is given.

    Raises:
        CheckError: The folder has none for it.
    """
    if schemas is None:
        return None
    group, _, number = version.rpartition("/")
    file = schemas / f"{group}_{kind.lower()}_{number}.json"
    if not file.is_file():
        raise CheckError(f"{schemas} has no {file.name}, the schema of {kind} of {version}: get it, or mend the kind")
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise TypeError("it is no object")
    except (OSError, ValueError, TypeError) as error:
        raise CheckError(f"{file} is no JSON schema: {error}; get it again".splitlines()[0]) from None
    return found

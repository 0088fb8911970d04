"""The house keeps its shape: small rooms, one direction, and nothing private of a neighbour's.

Ruff checks the direction too (`ruff.toml` of each room), file by file; here the whole is seen: cycles, sizes, walls.
"""

from __future__ import annotations

import ast
import hashlib
import itertools
import re
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAXIMUM_LINES = 300
MAXIMUM_FILES = 15
MAY_IMPORT = {
    "infolens": set(),
    "operators": set(),
    "engine": set(),
    "reading": set(),
    "inspection": {"infolens"},
    "export": {"infolens", "inspection", "operators", "engine", "reading"},
    "training": {"infolens", "inspection", "reading"},
    "serving": {"infolens", "operators", "engine", "reading"},
    "serving.backends": {"reading", "engine"},
    "benchmarks": {"infolens", "operators", "engine"},
    "k8s": {"infolens"},
}
"""What each room may import of the others; `serving.backends` runs inside Triton, without the rest of its room."""
FLOORS = {
    "engine": "settings tensors sharing, article, artefact executor rows, pytorch ort trt scheduling, opening sessions",
    "reading": "sentences alignment windows reference quotable, spread words, choice",
    "inspection": "errors, hub weights heads vocabulary, configuration generation",
    "training": "errors, memory stopping quiet, storage progress, data, recipes, models, metrics, tracking, loop, "
    "tasks, runs, commands, cli, __main__",
    "export": "errors progress arguments lineage reference, graph, architectures, checkpoint repository, "
    "parity optimum calibration, options, examination, exporter steps drift, cli uncompared, __main__",
    "benchmarks": "common, peers load latency page feedback fixtures training_start, engine, gpu, capacity, cli, "
    "__main__",
    "k8s": "check monitoring, cli, __main__",
}
"""The folders and files of a room, the lowest first: each imports of the lower ones only, and nothing beside itself."""
ROOMS = {name.partition(".")[0] for name in MAY_IMPORT}


@cache
def files() -> tuple[Path, ...]:
    """Every file of the project, relative to its root: what git has, or would take."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return tuple(sorted(Path(line) for line in listed.splitlines() if (ROOT / line).exists()))


def module_of(path: Path) -> str:
    """The dotted name under which a file is imported."""
    parts = path.with_suffix("").parts
    parts = parts[1:] if parts[0] == "clients" else parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules() -> dict[str, Path]:
    """The modules of the rooms, by name."""
    found = {module_of(path): path for path in files() if path.suffix == ".py"}
    return {name: path for name, path in found.items() if name.partition(".")[0] in ROOMS}


def imports(name: str) -> Iterator[tuple[str, str]]:
    """What a module imports, wherever it does: the module, and the name taken from it (empty for a whole module)."""
    path = modules()[name]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                yield (whole, "") if whole in modules() else (base, alias.name)


@cache
def edges() -> tuple[tuple[str, str, str], ...]:
    """Every import between modules of the rooms: importer, imported module, imported name."""
    return tuple((name, target, what) for name in modules() for target, what in imports(name) if target in modules())


def room_of(name: str) -> str:
    return max((room for room in MAY_IMPORT if f"{name}.".startswith(f"{room}.")), key=len)


def test_no_file_is_long() -> None:
    kinds = {".py", ".cc", ".h", ".j2"}
    lengths = {path: len((ROOT / path).read_text("utf-8").splitlines()) for path in files() if path.suffix in kinds}
    assert lengths
    assert {str(path): lines for path, lines in lengths.items() if lines > MAXIMUM_LINES} == {}


def test_no_folder_is_crowded() -> None:
    counts = Counter(str(path.parent) for path in files())
    assert {folder: count for folder, count in counts.items() if count > MAXIMUM_FILES} == {}


def packages() -> list[str]:
    found = {name.rpartition(".")[0] for name in modules()} | ROOMS
    return sorted(name for name in found if name)


@pytest.mark.parametrize("package", packages())
def test_no_imports_go_round(package: str) -> None:
    """The files and folders of a folder depend on one another in one direction."""

    def inside(name: str) -> str:
        """The part of the package to which a module belongs; empty for one of elsewhere."""
        if name == package:
            return "__init__"
        return name.removeprefix(f"{package}.").partition(".")[0] if name.startswith(f"{package}.") else ""

    graph: defaultdict[str, set[str]] = defaultdict(set)
    why: dict[tuple[str, str], str] = {}
    for importer, imported, _ in edges():
        one, other = inside(importer), inside(imported)
        if one and other and one != other:
            graph[one].add(other)
            why[one, other] = f"{importer} imports {imported}"
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        round_trip = error.args[1][::-1]
        pytest.fail("; ".join(why[pair] for pair in itertools.pairwise(round_trip)))


def test_rooms_import_only_what_they_may() -> None:
    crossed = {
        f"{importer} imports {imported}"
        for importer, imported, _ in edges()
        if room_of(importer) != room_of(imported) and room_of(imported) not in MAY_IMPORT[room_of(importer)]
    }
    assert crossed == set()


@pytest.mark.parametrize("room", FLOORS)
def test_folders_import_only_lower_ones(room: str) -> None:
    floor = {part: level for level, parts in enumerate(FLOORS[room].split(", ")) for part in parts.split()}
    crossed = set()
    for importer, imported, _ in edges():
        one, other = (name.removeprefix(f"{room}.").partition(".")[0] for name in (importer, imported))
        both_here = importer.startswith(f"{room}.") and imported.startswith(f"{room}.")
        if both_here and one != other and floor[one] <= floor[other]:
            crossed.add(f"{importer} imports {imported}")
    assert crossed == set()


def test_the_client_never_needs_torch_or_transformers() -> None:
    found = {
        imported.partition(".")[0] for name in modules() if room_of(name) == "infolens" for imported, _ in imports(name)
    }
    assert found & {"torch", "transformers", "onnxruntime"} == set()


def test_nothing_private_is_imported_from_another_folder() -> None:
    """A name or a module with a leading underscore belongs to the folder that it lies in."""
    taken = set()
    for importer, imported, what in edges():
        parts = [*imported.split("."), *([what] if what else [])]
        for index, part in enumerate(parts):
            if not part.startswith("_") or part.startswith("__"):
                continue
            owner = ".".join(parts[:index])  # The folder, or the module whose folder it is.
            home = owner if owner in modules() and modules()[owner].name == "__init__.py" else owner.rpartition(".")[0]
            if not f"{importer}.".startswith(f"{home}."):
                taken.add(f"{importer} imports {part} of {owner}")
    assert taken == set()


def documents() -> list[Path]:
    """The pages for people; the log tells of how things were."""
    return [path for path in files() if path.suffix == ".md" and path.name not in ("LOG.md", "CHANGELOG.md")]


LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
QUOTED = re.compile(
    r"`((?:clients|export|k8s|training|reading|serving|benchmarks|operators|tests|model_repository)/[\w./-]+)`"
)


@pytest.mark.parametrize("page", documents(), ids=str)
def test_pages_point_at_what_is_there(page: Path) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    missing = {link for link in LINK.findall(text) if not (ROOT / page.parent / link).exists()}
    missing |= {quoted for quoted in QUOTED.findall(text) if not (ROOT / quoted).exists()}
    assert missing == set()


STOP = re.compile(r"^(\d+)\. `([\w./-]+)`, `([\w.]+)`:", re.MULTILINE)


def test_the_way_of_a_request_through_the_code_is_true() -> None:
    """Each stop of the walk in CONTRIBUTING names a file and what to read in it."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    walk = text.partition("## A request's way through the code")[2].partition("\n## ")[0]
    stops = STOP.findall(walk)
    assert [int(number) for number, _, _ in stops] == list(range(1, 11))
    for _, path, name in stops:
        where = (ROOT / path).read_text(encoding="utf-8")
        if not path.endswith(".py"):
            assert name in where, (path, name)
            continue
        inside: list[ast.stmt] = ast.parse(where).body
        for part in name.split("."):
            found = [node for node in inside if getattr(node, "name", None) == part]
            assert found, (path, name)
            inside = getattr(found[0], "body", [])


def test_the_diagram_is_drawn_from_its_source() -> None:
    source = hashlib.sha256((ROOT / "docs" / "architecture.dot").read_bytes()).hexdigest()
    last = (ROOT / "docs" / "architecture.svg").read_text(encoding="utf-8").splitlines()[-1]
    assert source in last, "make diagram draws it anew"


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_docstrings_are_sentences_of_their_own() -> None:
    """A docstring that opens with "Of" can only be read together with the line above it."""
    opening = set()
    for name, path in modules().items():
        for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                text = node.value.value
                if isinstance(text, str) and text.startswith("Of "):
                    opening.add(f"{name}:{node.lineno}: {text.splitlines()[0]}")
    assert opening == set()

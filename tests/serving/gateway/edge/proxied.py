"""A real nginx and a real HAProxy before a door, with the configurations of the page for people."""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from serving.runtime import ROOT
from tests.serving.edge.authority import Files
from tests.serving.gateway.scripted import PATIENCE_S

PAGE = ROOT / "serving" / "edge" / "README.md"
_FOLDERS = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin"


def free_port() -> int:
    """A port that nobody has just now; the proxies take no 0."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def block(language: str) -> str:
    """The configuration on the page."""
    found = re.search(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    return found.group(1)


def replaced(text: str, changes: Mapping[str, str]) -> str:
    """The text with this machine's ports and files in the place of those on the page."""
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def nginx(folder: Path, files: Files, ports: Mapping[str, int], port: int) -> list[str]:
    """The command that runs it."""
    server = replaced(
        block("nginx"),
        {
            "listen 443 ": f"listen 127.0.0.1:{port} ",
            "127.0.0.1:8000": f"127.0.0.1:{ports['http_port']}",
            "127.0.0.1:8001": f"127.0.0.1:{ports['grpc_port']}",
            "/etc/ssl/news.example.pem": str(files.cert),
            "/etc/ssl/news.example.key": str(files.key),
        },
    )
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "\n".join(f"{kind}_temp_path {folder / kind};" for kind in kinds)
    configuration = folder / "nginx.conf"
    configuration.write_text(
        f"daemon off;\npid {folder / 'nginx.pid'};\nerror_log stderr warn;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{temporary}\n{server}\n}}\n"
    )
    return [program("nginx"), "-e", "stderr", "-p", str(folder), "-c", str(configuration)]


def haproxy(folder: Path, files: Files, ports: Mapping[str, int], port: int) -> list[str]:
    """The command that runs it."""
    both = folder / "both.pem"
    both.write_bytes(files.cert.read_bytes() + files.key.read_bytes())
    configuration = folder / "haproxy.cfg"
    configuration.write_text(
        replaced(
            block("haproxy"),
            {
                "bind :443 ": f"bind 127.0.0.1:{port} ",
                "127.0.0.1:8000": f"127.0.0.1:{ports['http_port']}",
                "127.0.0.1:8001": f"127.0.0.1:{ports['grpc_port']}",
                "/etc/ssl/news.example.pem": str(both),
            },
        )
    )
    return [program("haproxy"), "-db", "-f", str(configuration)]


PROXIES = {"nginx": nginx, "haproxy": haproxy}


def program(name: str) -> str:
    """Where a program is; the test is skipped without it."""
    found = shutil.which(name) or shutil.which(name, path=_FOLDERS)
    if found is None:
        pytest.skip(f"{name} is not installed: apt-get install {name}")
    return found


@contextmanager
def before(kind: str, folder: Path, files: Files, ports: Mapping[str, int]) -> Iterator[int]:
    """The port of a proxy inside the block."""
    port = free_port()
    command = PROXIES[kind](folder, files, ports, port)
    log = folder / f"{kind}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        until_s = time.monotonic() + PATIENCE_S
        while not _listens(port):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.02)
            assert process.returncode is None, log.read_text()
            assert time.monotonic() < until_s
        yield port
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0

"""What the command line names: addresses with colons in them, and values of which no server can be made."""

from __future__ import annotations

import socket
import urllib.request
from pathlib import Path

import pytest

from serving.arguments import arguments, in_brackets
from serving.cli import main
from serving.launcher import ServerOptions
from tests.serving.test_launcher import DEADLINE_S, FREE_PORTS, launched, one_model


def test_an_ipv6_address_stands_in_brackets_before_a_port() -> None:
    options = ServerOptions(host="::1", http_port=1, grpc_port=2, metrics_port=3)
    words = arguments(options, {"http": 1, "grpc": 2, "metrics": 3}, Path("models"), Path("backends"), Path("caches"))
    assert {"--grpc-address=[::1]", "--http-address=ipv6:::1", "--metrics-address=ipv6:::1"} <= set(words)
    assert in_brackets("::1") == "[::1]"
    assert in_brackets("127.0.0.1") == "127.0.0.1"


@pytest.mark.server
def test_a_server_listens_on_an_ipv6_address(tmp_path: Path) -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6")
    one_model(tmp_path / "models")
    with launched(tmp_path / "models", tmp_path, "--host", "::1") as (_, ready):
        assert ready["grpc_url"].startswith("grpc://[::1]:")
        with urllib.request.urlopen(f"{ready['http_url']}/v2/health/ready", timeout=DEADLINE_S) as answer:
            assert answer.status == 200
        with urllib.request.urlopen(ready["metrics_url"], timeout=DEADLINE_S) as answer:
            assert answer.status == 200


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--ready-timeout", "nan"], "a time is a number of seconds above 0, not nan"),
        (["--ready-timeout", "0"], "a time is a number of seconds above 0, not 0"),
        (["--response-cache-mb", "-5"], "a memory is a whole number of megabytes from 0, not -5"),
        (["--ready-file", "/no/such/folder/x"], "there is no folder /no/such/folder"),
        (["--ready-file", "/dev"], "it is a folder"),
    ],
)
def test_what_cannot_be_used_is_said_before_anything_starts(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(words)
    assert said in capsys.readouterr().err


def test_a_taken_port_of_triton_is_named_by_the_option_that_set_it(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main([*FREE_PORTS, "--direct-grpc", str(taken.getsockname()[1])]) == 1
    assert "with --direct-grpc" in capsys.readouterr().err


def test_keys_are_wanted_or_not(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([*FREE_PORTS, "--keys", "--no-keys"])
    assert "say the opposite" in capsys.readouterr().err

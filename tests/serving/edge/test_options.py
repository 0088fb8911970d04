"""What the command line says of the edge is checked before anything is started."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest
import trustme

from serving import cli
from serving.arguments import ServerOptions
from serving.edge.command import add_edge, read_edge, words_about_tls
from serving.edge.options import EdgeOptions, check_edge, check_origin
from serving.errors import EdgeError
from serving.gateway.configuration import ConfigurationError, read_options
from serving.supervisor.assembling import Plan, assemble_supervisor
from tests.serving.edge.authority import write

URL = "http://localhost:4318/v1/traces"


def read(*words: str) -> EdgeOptions:
    parser = argparse.ArgumentParser()
    parser.add_argument("--trace-url")
    add_edge(parser)
    return read_edge(parser.parse_args(words))


def test_the_words_become_options_and_by_default_nothing_is_open() -> None:
    assert read() == read("--trace-url", URL) == EdgeOptions()
    found = read(
        *("--tls-cert", "c.pem", "--tls-key", "k.pem", "--trace-url", URL, "--trace-sample", "0.01"),
        *("--trace-asked", "6"),
        *("--cors-origin", "https://a.example", "--cors-origin", "https://b.example"),
        *("--forwarded-allow", "10.0.0.1", "--forwarded-allow", "fd00::/8"),
    )
    assert found == EdgeOptions(
        tls_cert=Path("c.pem"),
        tls_key=Path("k.pem"),
        cors_origins=("https://a.example", "https://b.example"),
        forwarded_allow=("10.0.0.1", "fd00::/8"),
        trace_url=URL,
        trace_sample=0.01,
        trace_asked_per_minute=6,
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (EdgeOptions(tls_cert=Path("c")), "--tls-cert came alone: give --tls-key too"),
        (EdgeOptions(tls_key=Path("c")), "--tls-key came alone: give --tls-cert too"),
        (EdgeOptions(forwarded_allow=("proxy.example",)), "--forwarded-allow is the address of a proxy"),
        (EdgeOptions(forwarded_allow=("10.0.3.1/24",)), "has host bits set"),
        (EdgeOptions(trace_sample=1.5), "between 0 and 1, not 1.5"),
        (EdgeOptions(trace_sample=float("nan")), "between 0 and 1, not nan"),
        (EdgeOptions(trace_sample=0.1), "give --trace-url"),
        (EdgeOptions(trace_models=True), "give --trace-sample too"),
        (EdgeOptions(trace_asked_per_minute=3), "give --trace-url and --trace-sample too"),
        (EdgeOptions(trace_asked_per_minute=-1), "between 0 and 60, not -1"),
        (EdgeOptions(trace_url=URL, trace_sample=1.0, trace_asked_per_minute=61), "between 0 and 60, not 61"),
    ],
)
def test_what_cannot_be_kept_to_is_said(options: EdgeOptions, words: str) -> None:
    with pytest.raises(EdgeError, match=words):
        check_edge(options, keys=False)


@pytest.mark.parametrize(
    ("given", "origin"),
    [
        ("https://desk.example", "https://desk.example"),
        ("HTTPS://Desk.Example:443", "https://desk.example"),
        ("http://127.0.0.1:5173", "http://127.0.0.1:5173"),
        ("https://[::1]:8443", "https://[::1]:8443"),
    ],
)
def test_an_origin_is_kept_as_browsers_send_it(given: str, origin: str) -> None:
    assert check_origin(given) == origin


@pytest.mark.parametrize(
    "given",
    ["desk.example", "https://desk.example/", "https://desk.example/page", "https://*.example", "null", "https://", "",
     "ftp://desk.example", "https://u@desk.example", "https://desk.example:x", "https://desk.example?q"],
)  # fmt: skip
def test_what_is_no_origin_is_refused(given: str) -> None:
    with pytest.raises(EdgeError, match="--cors-origin is scheme and host"):
        check_origin(given)


def test_all_origins_may_ask_only_where_no_keys_are_needed(caplog: pytest.LogCaptureFixture) -> None:
    options = EdgeOptions(cors_origins=("*",))
    assert check_edge(options, keys=False).cors_origins == ("*",)
    assert "every web page" in caplog.text
    with pytest.raises(EdgeError, match="name the origins of your pages"):
        check_edge(options, keys=True)
    assert check_edge(EdgeOptions(cors_origins=("https://a.example",)), keys=True)


def test_a_proxy_at_every_address_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    assert check_edge(EdgeOptions(forwarded_allow=("10.0.0.1", "fd00::/8")), keys=False).forwarded_allow == (
        "10.0.0.1/32",
        "fd00::/8",
    )
    assert caplog.text == ""
    check_edge(EdgeOptions(forwarded_allow=("0.0.0.0/0",)), keys=False)
    assert "each caller can say that it is another one" in caplog.text


def test_without_the_exporter_the_way_out_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.edge.options._EXPORTER", "opentelemetry_of_nobody.http")
    with pytest.raises(EdgeError, match=r"pip install -e '\.\[tracing\]'"):
        check_edge(EdgeOptions(trace_sample=0.1, trace_url=URL), keys=False)


def test_the_door_reads_what_the_supervisor_writes(tmp_path: Path) -> None:
    edge = EdgeOptions(
        tls_cert=tmp_path / "c", tls_key=tmp_path / "k", cors_origins=("https://a.example",), trace_sample=0.5
    )
    needed = {"triton_grpc": "x", "triton_metrics": "x", "state_file": "/x", "repository": "/x"}
    file = tmp_path / "door.json"
    file.write_text(json.dumps({**needed, "edge": edge.document()}))
    assert read_options(file).edge == edge
    file.write_text(json.dumps({**needed, "edge": {"cors_origins": "x"}}))
    with pytest.raises(ConfigurationError, match=r"cors_origins .* is of the type list"):
        read_options(file)
    file.write_text(json.dumps({**needed, "edge": []}))
    with pytest.raises(ConfigurationError, match=r"edge .* is a JSON object"):
        read_options(file)


def test_the_line_for_people_says_for_whom_the_certificate_is(tmp_path: Path, authority: trustme.CA) -> None:
    edge = EdgeOptions(**write(tmp_path, authority).options)
    (line,) = words_about_tls(edge.document())
    assert line == "  TLS      for localhost, 127.0.0.1, until 3000-01-01: ask by such a name (metrics are plain HTTP)"
    assert words_about_tls(EdgeOptions().document()) == words_about_tls({}) == []


def test_without_a_door_there_is_no_edge() -> None:
    plan = Plan(server=ServerOptions(), door=False, edge=EdgeOptions(forwarded_allow=("10.0.0.1",)))
    with pytest.raises(EdgeError, match="leave --no-door out"):
        assemble_supervisor(plan)


def test_a_wrong_option_ends_the_command_before_anything_is_started(capsys: pytest.CaptureFixture[str]) -> None:
    ports = [word for kind in ("http", "grpc", "metrics") for word in (f"--{kind}-port", "0")]
    assert cli.main([*ports, "--tls-cert", "/nowhere/cert.pem", "--tls-key", "/nowhere/key.pem"]) == 1
    assert "error: --tls-cert /nowhere/cert.pem cannot be read" in capsys.readouterr().err

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import infolens.cli
from infolens import (
    Article,
    Client,
    InfoLensError,
    Report,
    RequestRejectedError,
    ServerStatus,
    ServerUnavailableError,
    Task,
    Unsupported,
    __version__,
)
from infolens._commands import running
from infolens.testing import FakeTransport, fake_report
from tests.clients.loopback import free_port, grpc_server

ARTICLES = Path(__file__).parents[1] / "articles"


def by_text(article: Article) -> Report | InfoLensError:
    if "reject" in article.text:
        return RequestRejectedError("not to the server's taste")
    return fake_report(summary=article.text[:40], category="Sports", veracity="fake", probability=0.8)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeTransport:
    """The transport that the command's client uses."""
    transport = FakeTransport(by_text)
    use(monkeypatch, transport)
    return transport


def use(monkeypatch: pytest.MonkeyPatch, transport: FakeTransport) -> None:
    def client(url: str | None = None, **arguments: Any) -> Client:
        return Client(transport=transport, **arguments)

    monkeypatch.setattr(running, "Client", client)


def write(folder: Path, **files: str | bytes) -> list[str]:
    for name, content in files.items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return [str(folder / name) for name in files]


def test_a_file_with_a_title_on_top(run: Any, fake: FakeTransport, tmp_path: Path) -> None:
    (file,) = write(tmp_path, a="\ufeffThe title\r\n\r\nThe body.\nGoes on.\n")
    code, out, err = run("analyze", file)
    assert (code, err) == (0, "")
    assert fake.articles == [Article(text="The body.\nGoes on.", title="The title")]
    for words in (file, "The title", "The body. Goes on.", "Sports", "80.0%", "fake"):
        assert words in out


def test_with_the_title_option_the_whole_file_is_text(run: Any, fake: FakeTransport, tmp_path: Path) -> None:
    (file,) = write(tmp_path, a="The title\n\nThe body.")
    assert run("analyze", file, "--title", "Another")[0] == 0
    assert run("analyze", file, "--title", "The title")[0] == 0
    assert fake.articles == [
        Article(text="The title\n\nThe body.", title="Another"),
        Article(text="The body.", title="The title"),
    ]


@pytest.mark.parametrize(
    "text", ["One line\nand another", "x" * 201 + "\n\nThe body.", "Only a title\n\n", "A sentence.\n\nAnother."]
)
def test_what_does_not_look_like_a_title_is_text(run: Any, fake: FakeTransport, tmp_path: Path, text: str) -> None:
    assert run("analyze", *write(tmp_path, a=text))[0] == 0
    assert fake.articles == [Article(text=text)]


def test_text_and_options_reach_the_server(run: Any, fake: FakeTransport) -> None:
    code, _, _ = run("analyze", "--text", "T.", "--task", "summary", "--max-length", "30", "--length-penalty", "-0.5")
    assert code == 0
    (request,) = fake.requests
    assert request.model == "summarize"
    assert request.inputs["max_length"].tolist() == [[30]]
    assert request.inputs["length_penalty"].tolist() == [[-0.5]]
    assert "num_beams" not in request.inputs


def test_a_style_and_a_sample_reach_the_server(run: Any, fake: FakeTransport) -> None:
    sample = ("--temperature", "0.5", "--top-p", "0.25", "--seed", "7")
    assert run("analyze", "--text", "T.", "--task", "summary", "--style", "extractive", *sample)[0] == 0
    inputs = {name: array.item() for name, array in fake.requests[0].inputs.items() if name != "text"}
    assert inputs == {"style": b"extractive", "temperature": 0.5, "top_p": 0.25, "seed": 7}
    for wrong in (("--style", "loose"), ("--seed", "7"), ("--temperature", "0.5", "--num-beams", "2")):
        assert run("analyze", "--text", "T.", *wrong)[0] == 2


def test_what_the_article_does_not_hold_stands_below_the_summary(run: Any, fake: FakeTransport) -> None:
    spans = (
        Unsupported(start=3, end=8, text="1,200", kind="number"),
        Unsupported(start=9, end=13, text="Hull\x1b", kind="name"),
    )
    fake._answer = fake_report(summary="He 1,200 Hull.", unsupported=spans)
    _, out, _ = run("analyze", "--text", "T.")
    assert "\n            not in the article: 1,200 (number), Hull (name)\n" in out


def test_standard_input(run: Any, fake: FakeTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("Ein Text über Züge.".encode())))
    assert run("analyze", "-")[0] == 0
    assert fake.articles == [Article(text="Ein Text über Züge.")]


def test_json_lines_keep_the_order_and_have_the_failures(run: Any, fake: FakeTransport, tmp_path: Path) -> None:
    files = write(tmp_path, a="one", b="reject", c=b"caf\xe9", d="", e="T\n\nüwo")
    code, out, err = run("analyze", "--json", *files, str(tmp_path / "none"))
    assert code == 1
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["file"] for line in lines] == [*files, str(tmp_path / "none")]
    assert [line.get("error", {}).get("type") for line in lines] == [
        None,
        "RequestRejectedError",
        "InvalidArticleError",
        "InvalidArticleError",
        None,
        "InvalidArticleError",
    ]
    assert lines[4]["title"] == "T"
    assert lines[4]["summary"]["text"] == "üwo"
    assert lines[4]["veracity"]["label"] == "fake"
    assert lines[4]["truncated"] is False
    assert "byte 3 (0xe9)" in lines[2]["error"]["message"]
    assert len(err.splitlines()) == 4
    assert "Traceback" not in err


def test_partial_answers_name_what_failed(run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use(monkeypatch, FakeTransport(fake_report(category="Sports", failed={Task.SUMMARY: "it\nbroke"})))
    files = write(tmp_path, a="one")
    code, out, err = run("analyze", *files)
    assert (code, out) == (1, "")
    assert "broke" in err
    code, out, err = run("analyze", "--partial", *files)
    assert (code, err) == (1, f"infolens: {files[0]}: no summary: it broke\n")
    assert "Sports" in out
    code, out, err = run("analyze", "--partial", "--json", *files)
    assert (code, err) == (1, f"infolens: {files[0]}: no summary: it broke\n")
    document = json.loads(out)
    assert document["failed"] == {"summary": "it\nbroke"}
    assert document["category"]["label"] == "Sports"
    assert run("analyze", "--partial", "--task", "category", "--task", "veracity", *files)[0] == 0


def test_a_large_file_is_refused(run: Any, fake: FakeTransport, tmp_path: Path) -> None:
    code, _, err = run("analyze", *write(tmp_path, a="x " * 500_000))
    assert (code, fake.requests) == (1, [])
    assert "262,144 bytes" in err


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("analyze",),
        ("analyze", "a.txt", "--text", "x"),
        ("analyze", "a.txt", "b.txt", "--title", "x"),
        ("analyze", "-", "-"),
        ("analyze", "--text", "x", "--num-beams", "9"),
        ("analyze", "--text", "x", "--task", "mood"),
        ("analyze", "--text", "x", "--in-flight", "0"),
        ("analyze", "--text", "x", "--timeout-s", "0"),
    ],
)
def test_wrong_usage_is_2(run: Any, fake: FakeTransport, arguments: tuple[str, ...]) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err
    assert fake.requests == []


def test_malformed_url_is_2(run: Any) -> None:
    code, _, err = run("status", "--server", "ftp://host")
    assert code == 2
    assert "grpc://HOST:8001" in err


@pytest.mark.parametrize("scheme", ["grpc", "http"])
@pytest.mark.parametrize("command", [("status",), ("analyze", "--text", "x")])
def test_unreachable_server_is_3_in_one_line(run: Any, scheme: str, command: tuple[str, ...]) -> None:
    code, out, err = run(*command, "--server", f"{scheme}://127.0.0.1:{free_port()}")
    assert (code, out) == (3, "")
    assert len(err.splitlines()) == 1
    assert "cannot reach" in err


def test_a_dead_server_is_reported_once(run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(running, "RetryPolicy", lambda **_: infolens.RetryPolicy(attempts=1))
    use(monkeypatch, FakeTransport(ServerUnavailableError("cannot reach it")))
    code, out, err = run("analyze", "--json", *write(tmp_path, a="one", b="two", c="three"))
    assert (code, out, err) == (3, "", "infolens: cannot reach it\n")


def test_status(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, FakeTransport())
    code, out, _ = run("status")
    assert code == 0
    assert "NOT READY" not in out
    code, out, _ = run("status", "--json")
    document = json.loads(out)
    assert (code, document["ready"], document["models"]["bart"]) == (0, True, True)
    half = ServerStatus(live=True, server_ready=True, version="triton 1", models={"bart": True, "xlnet": False})
    use(monkeypatch, FakeTransport(status=half))
    code, out, _ = run("status")
    assert code == 3
    assert "xlnet                  NOT READY" in out


def test_truncation_is_told(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, FakeTransport(fake_report(tokens=1500, truncated_tokens=476)))
    _, out, _ = run("analyze", "--text", "x", "--task", "veracity")
    assert "not read: 476 of 1,500 tokens (veracity)" in out


def test_an_article_cannot_steer_the_terminal(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, FakeTransport(fake_report(summary="a\x1b[2Jb\nc")))
    _, out, _ = run("analyze", "--text", "x", "--title", "t\x1b]0;x\x07")
    assert "\x1b" not in out
    assert "a [2Jb c" in out


def test_progress_only_where_somebody_watches(
    run: Any, fake: FakeTransport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = write(tmp_path, a="one", b="two")
    assert run("analyze", *files)[2] == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert "2/2" in run("analyze", *files)[2]


def test_interrupt_is_130(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "Client", interrupt)
    code, _, err = run("status")
    assert (code, err) == (130, "infolens: interrupted\n")


def test_version_and_help(run: Any) -> None:
    assert run("--version")[:2] == (0, f"infolens {__version__}\n")
    for command in ((), ("analyze",), ("status",)):
        code, out, _ = run(*command, "--help")
        assert code == 0
        assert "exit codes:" in out
        assert "examples:" in out


def test_the_installed_command_and_a_reader_that_leaves(tmp_path: Path) -> None:
    files = write(tmp_path, **{f"f{number}": "A text." for number in range(50)})
    with grpc_server(FakeTransport(by_text)) as url:
        command = [sys.executable, "-W", "error", "-m", "infolens", "analyze", "--json", "--server", url, *files]
        environment = {**os.environ, "PYTHONPATH": str(Path(infolens.cli.__file__).parents[1])}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
        assert (len(done.stdout.splitlines()), done.stderr) == (50, "")
        read, written = os.pipe()
        os.close(read)
        left = subprocess.run(command, stdout=written, stderr=subprocess.PIPE, text=True, env=environment, check=False)
        os.close(written)
    assert (left.returncode, left.stderr) == (141, "")


@pytest.mark.parametrize("file", sorted(ARTICLES.glob("*.txt")), ids=lambda file: file.stem)
def test_example_articles_have_a_title_and_a_body(run: Any, fake: FakeTransport, file: Path) -> None:
    assert run("analyze", str(file))[0] == 0
    (article,) = fake.articles
    assert article.title is not None
    assert 300 <= len(article.text.split()) <= 450


def test_there_is_an_article_for_every_category() -> None:
    stems = {file.stem for file in ARTICLES.glob("*.txt")}
    for category in infolens.CATEGORIES:
        assert category.lower().replace(" & ", "_and_").replace(" ", "_") in stems

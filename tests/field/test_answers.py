"""Articles that users of such systems tripped over, and the right outcome of each: A1 to A5.

The numbers are those of the reports from which the cases were made. Each case is a row: what is sent, what comes.
"""

from __future__ import annotations

import io
import json
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

import infolens.cli
from benchmarks.common.server import Started
from infolens import Article, Client, InvalidArticleError, RequestRejectedError, SummaryOptions, Task
from infolens._commands.articles import parse_article
from infolens._commands.decoding import decode
from infolens.types import is_blank as is_blank_to_the_client
from serving.backends.tokenizer.reading import is_blank, why_unreadable

TEXT = (
    "The council voted on Tuesday to repair the old bridge over the harbour. Work begins in spring and will take two "
    "years, the mayor said."
)
ARABIC = "صوّت المجلس يوم الثلاثاء على إصلاح الجسر القديم فوق الميناء."
HEBREW = "המועצה הצביעה ביום שלישי על תיקון הגשר הישן."
CHINESE = "市议会周二投票决定修复港口上的旧桥。"
RUSSIAN = "Совет проголосовал за ремонт старого моста через гавань."

SHORT = ["Stocks fall.", "Reuters", "The home side won.", "Oil rises\n\nafter cut"]
"""A1: texts of a few words."""

BLANK = {
    "nothing": "",
    "white space": " \t\r\n\u00a0\u2003",
    "NUL": "\0\0",
    "zero width space": "\u200b",
    "soft hyphen": "\u00ad\u00ad",
    "word joiner": "\u2060",
    "left-to-right mark": "\u200e \u200f",
    "byte order mark": "\ufeff",
    "variation selector": "\ufe0f",
    "tags": "\U000e0041\U000e0042",
    "mark without a letter": "\u0301",
    "Hangul filler": "\u3164",
    "Braille blank": "\u2800",
    "object replacement": "\ufffc",
    "private use": "\ue000",
}
"""A2: texts that show nothing."""

UNREADABLE = {
    "Arabic": (ARABIC, "most are Arabic"),
    "Hebrew": (HEBREW, "most are Hebrew"),
    "Chinese": (CHINESE, "most are CJK"),
    "Russian": (RUSSIAN, "most are Cyrillic"),
    "mostly Arabic": (f"Reuters: {ARABIC}", "most are Arabic"),
    "decoded wrongly": ("a\ufffd\ufffd\ufffd \ufffd\ufffd\ufffdb", "U+FFFD"),
    "no letters": ("3 - 1 :-) \U0001f389", "has no letter"),
}
"""A3: texts that models of English cannot read, with the words of the reason."""

READABLE = {
    "plain": TEXT,
    "a quotation": f"{TEXT} A resident said: «{ARABIC}»",
    "accents": "Où est le café ? Über die Brücke, señor; Dvořák and Çelik øre.",
    "Vietnamese": "Hội đồng thành phố bỏ phiếu sửa chữa cây cầu cũ.",
    "ligatures": "\ufb01nd the o\ufb03ce",
    "half": "ab\u0628\u062a",
    "emoji": f"{TEXT} \U0001f389\U0001f389\U0001f389",
}
"""A3: texts that are read."""


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    """The command ``infolens``: exit code, output and complaints."""

    def call(*arguments: str) -> tuple[int, str, str]:
        code = infolens.cli.main(arguments)
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return call


def post(url: str, document: Any) -> tuple[int, Any]:
    request = urllib.request.Request(url, json.dumps(document).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


# A1


@pytest.mark.server
@pytest.mark.parametrize("text", SHORT, ids=repr)
def test_a_text_of_a_few_words_is_its_own_summary(triton: Started, text: str) -> None:
    with Client(triton.grpc_url) as client:
        assert client.summarize(text).text == " ".join(text.split())
        report = client.analyze(text, options=SummaryOptions(min_length=60))
    assert report.summary is not None
    assert report.summary.text == " ".join(text.split())
    assert report.category is not None


@pytest.mark.server
def test_a_least_length_of_nothing_leaves_the_summary_to_the_model(triton: Started) -> None:
    with Client(triton.grpc_url) as client:
        assert client.summarize("Stocks fall.", options=SummaryOptions(min_length=0)).text == "Stocks fall."
        long = client.summarize(TEXT, options=SummaryOptions(min_length=0)).text
        assert long == client.summarize(TEXT).text


@pytest.mark.server
def test_the_articles_of_one_request_do_not_change_each_others_summaries(triton: Started) -> None:
    texts = [TEXT, "Stocks fall."]
    text = {"name": "text", "datatype": "BYTES", "shape": [2, 1], "data": texts}
    status, answer = post(f"{triton.http_url}/v2/models/summarize/infer", {"inputs": [text]})
    assert status == 200
    found = {output["name"]: output["data"] for output in answer["outputs"]}["summary"]
    with Client(triton.grpc_url) as client:
        assert found == [client.summarize(one).text for one in texts]


# A2


@pytest.mark.parametrize("text", BLANK.values(), ids=BLANK)
def test_what_shows_nothing_is_blank(text: str) -> None:
    assert is_blank(text)
    with pytest.raises(InvalidArticleError, match="all of them are blank"):
        Article(text=text)


def test_client_and_server_agree_on_what_shows_nothing() -> None:
    chars = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    assert [char for char in chars if is_blank(char) != is_blank_to_the_client(char)] == []


@pytest.mark.server
@pytest.mark.parametrize("text", ["\u200b", "\u00ad", "\u2060", "\u200e", "\u3164"], ids=ascii)
@pytest.mark.parametrize("model", ["summarize", "classify", "verify", "info_lens"])
def test_the_server_refuses_what_shows_nothing(triton: Started, model: str, text: str) -> None:
    inputs = [{"name": "text", "shape": [1, 1], "datatype": "BYTES", "data": [text]}]
    status, answer = post(f"{triton.http_url}/v2/models/{model}/infer", {"inputs": inputs})
    assert status == 400
    assert "bad input: text is blank: send the article's text, at least one visible character" in answer["error"]


# A3


@pytest.mark.parametrize(("text", "words"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_english_models_cannot_read_is_told(text: str, words: str) -> None:
    assert words in (why_unreadable(text) or "")


@pytest.mark.parametrize("text", READABLE.values(), ids=READABLE)
def test_what_is_mostly_latin_is_read(text: str) -> None:
    assert why_unreadable(text) is None


@pytest.mark.server
@pytest.mark.parametrize("text", [ARABIC, HEBREW, CHINESE], ids=["Arabic", "Hebrew", "Chinese"])
def test_every_task_refuses_another_alphabet_in_api_sdk_and_command(triton: Started, text: str, run: Any) -> None:
    inputs = [{"name": "text", "shape": [1, 1], "datatype": "BYTES", "data": [text]}]
    for model in ("summarize", "classify", "verify", "info_lens"):
        status, answer = post(f"{triton.http_url}/v2/models/{model}/infer", {"inputs": inputs})
        assert status == 400
        assert "bad input: text cannot be read: the models read English" in answer["error"]
    with Client(triton.grpc_url) as client:
        for task in Task:
            with pytest.raises(RequestRejectedError, match=r"bad input: text cannot be read.*send .* in English"):
                client.analyze(text, tasks=task)
        with pytest.raises(RequestRejectedError, match="bad input: text cannot be read"):
            client.analyze(text, title="An English title", partial=True)
        results = list(client.analyze_many([text, TEXT]))
        assert [type(result).__name__ for result in results] == ["RequestRejectedError", "Report"]
    code, out, err = run("analyze", "--server", triton.http_url, "--text", text)
    assert (code, out) == (1, "")
    assert "the models read English" in err


@pytest.mark.server
def test_an_english_article_with_a_foreign_quotation_or_title_is_answered(triton: Started) -> None:
    with Client(triton.grpc_url) as client:
        for article in (Article(text=READABLE["a quotation"]), Article(text=TEXT, title=ARABIC)):
            assert client.analyze(article).category is not None


# A4

LEDE = "LONDON (Reuters) - Oil rose on Monday.\n\nPrices climbed 3% after producers agreed to cut output."
TITLED = "Oil rises\n\nPrices climbed 3%."


@pytest.mark.parametrize(
    ("content", "title", "article"),
    [
        (LEDE, "Oil rises after output cut", Article(text=LEDE, title="Oil rises after output cut")),
        (LEDE, None, Article(text=LEDE)),
        (LEDE, "", Article(text=LEDE, title="")),
        (TITLED, None, Article(text="Prices climbed 3%.", title="Oil rises")),
        (TITLED, "Oil rises", Article(text="Prices climbed 3%.", title="Oil rises")),
        (TITLED, "Another", Article(text=TITLED, title="Another")),
        ("“It is over.”\n\nHe left.", None, Article(text="“It is over.”\n\nHe left.")),
        ("Is it over?\n\nHe left.", None, Article(text="He left.", title="Is it over?")),
    ],
)
def test_no_words_are_lost_when_a_title_is_given(content: str, title: str | None, article: Article) -> None:
    assert parse_article(content, title) == article


# A5

WESTERN = "Pont rouvert\n\nLe pont sera rouvert à midi, a déclaré le maire «lundi» \u2013 “enfin”."
ADVICE = {"cp1252": "iconv -f cp1252 -t utf-8", "utf-16-le": "iconv -f utf-16le", "utf-16-be": "iconv -f utf-16be"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_utf_with_or_without_its_mark_is_read(encoding: str) -> None:
    assert decode(WESTERN.encode(encoding)) == WESTERN
    assert decode("\ufeffBridge".encode("utf-16-be")) == "Bridge"
    assert decode(b"\0" * 8) == "\0" * 8


@pytest.mark.parametrize(("encoding", "advice"), ADVICE.items(), ids=ADVICE)
def test_the_advice_gives_the_text_that_was_meant(encoding: str, advice: str) -> None:
    data = WESTERN.encode(encoding)
    with pytest.raises(InvalidArticleError, match=advice) as caught:
        decode(data)
    advised = str(caught.value).partition("iconv -f ")[2].split()[0]
    assert data.decode(advised) == WESTERN


@pytest.mark.parametrize(
    "data",
    [
        "Мост открыт в понедельник".encode("cp1251"),
        "Мост открыт в понедельник".encode("koi8-r"),
        CHINESE.encode("gbk"),
        "橋が再開した".encode("shift-jis"),
        "Le pont sera rouvert à midi, a déclaré le maire".encode("mac-roman"),
        "Le pont sera rouvert à midi, a déclaré le maire".encode("cp437"),
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\xff",
        bytes(range(256)),
    ],
    ids=["cp1251", "koi8-r", "gbk", "shift-jis", "mac-roman", "cp437", "png", "bytes"],
)
def test_what_cannot_be_told_is_not_guessed(data: bytes) -> None:
    with pytest.raises(InvalidArticleError, match=r"must be UTF-8, but byte .* find out with `file -i FILE`"):
        decode(data)


def test_damaged_utf_8_is_not_taken_for_another_encoding() -> None:
    with pytest.raises(InvalidArticleError, match="iconv -c -f utf-8"):
        decode("café déjà vu ".encode() + b"caf\xe9")
    with pytest.raises(InvalidArticleError, match=r"mark of UTF-16 must be UTF-16.*write the file anew"):
        decode("Bridge".encode("utf-16")[:-1])


@pytest.mark.server
def test_files_and_standard_input_of_any_encoding(
    triton: Started, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for encoding in ("utf-8", "utf-16", "cp1252"):
        (tmp_path / encoding).write_bytes(f"Title «één»\n\n{TEXT}".encode(encoding))
    files = [str(tmp_path / name) for name in ("utf-16", "cp1252", "utf-8")]
    code, out, err = run("analyze", "--server", triton.grpc_url, "--json", *files)
    first, second, third = (json.loads(line) for line in out.splitlines())
    assert code == 1
    assert first["title"] == "Title «één»"
    assert first | {"file": files[2], "prediction": third["prediction"]} == third
    assert second["error"]["type"] == "InvalidArticleError"
    assert "iconv -f cp1252 -t utf-8" in err
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(Path(files[0]).read_bytes())))
    code, out, _ = run("analyze", "--server", triton.grpc_url, "--json", "-")
    assert code == 0
    assert json.loads(out) | {"file": files[2], "prediction": third["prediction"]} == third

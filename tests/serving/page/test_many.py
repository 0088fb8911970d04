"""Many articles on the page: a table up, answers as they come, a table down; and whatever comes between."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import openpyxl
import pytest

from tests.serving.page.line import Line
from tests.serving.page.site import SENTENCES, Site
from tests.serving.page.things import TEXT, drop, until

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.system
ROWS = 500


@pytest.fixture
def many(page: Page) -> Page:
    """The view of many articles."""
    page.get_by_role("link", name="Many articles").click()
    page.get_by_text("Open a table").wait_for()
    return page


def table(rows: int, **columns: str) -> bytes:
    """A CSV of articles, each its own."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["id", "headline", "body", *columns])
    for number in range(rows):
        text = f"Report {number}. {SENTENCES[number % len(SENTENCES)]} {TEXT}"
        writer.writerow([f"row-{number}", f"Bridge and ferry, part {number}", text, *columns.values()])
    return out.getvalue().encode()


def upload(page: Page, name: str, data: bytes) -> None:
    page.locator("input[type=file]").set_input_files({"name": name, "mimeType": "", "buffer": data})
    page.get_by_role("button", name="Analyze all").wait_for()


def progress(page: Page) -> int:
    found = re.search(r"([\d,]+) of [\d,]+ done", page.locator(".progress").inner_text())
    assert found is not None
    return int(found.group(1).replace(",", ""))


def wait_for_progress(page: Page, least: int) -> None:
    bar = page.locator("progress")
    until(page, lambda: bar.count() > 0 and bar.evaluate("bar => bar.value") >= least)


def saved(page: Page, name: str, folder: Path) -> bytes:
    with page.expect_download() as waiting:
        page.get_by_role("button", name=name, exact=True).click()
    path = folder / name
    waiting.value.save_as(path)
    return path.read_bytes()


def test_a_table_of_500_is_cancelled_reloaded_cut_off_and_finished(many: Page, line: Line, tmp_path: Path) -> None:
    upload(many, "desk.csv", table(ROWS))
    assert "500 articles in desk.csv" in many.locator(".paper").inner_text()
    many.get_by_role("button", name="Analyze all").click()
    wait_for_progress(many, 20)
    many.get_by_role("button", name="Cancel").click()
    many.locator(".progress").get_by_text("Cancelled").wait_for()
    kept = progress(many)
    assert 20 <= kept < ROWS
    many.reload()
    many.get_by_role("button", name="Go on").click()
    wait_for_progress(many, kept + 20)
    many.reload()  # in the middle of the work, which goes on by itself
    many.get_by_role("button", name="Cancel").wait_for()
    wait_for_progress(many, kept + 40)
    line.cut()
    many.get_by_text("The server cannot be reached").wait_for()
    assert progress(many) < ROWS
    line.mend()
    many.locator(".progress").get_by_text("All done.").wait_for(timeout=300_000)
    assert progress(many) == ROWS
    rows = list(csv.DictReader(io.StringIO(saved(many, "CSV", tmp_path).decode())))
    assert [one["id"] for one in rows] == [f"row-{number}" for number in range(ROWS)]
    assert all(one["summary"] and one["category"] and one["veracity_signal"] and not one["error"] for one in rows)


def test_it_is_sorted_and_filtered(many: Page) -> None:
    upload(many, "desk.csv", table(60))
    many.get_by_role("button", name="Analyze all").click()
    many.locator(".progress").get_by_text("All done.").wait_for()
    many.get_by_role("button", name="No.").click()
    assert many.locator("tbody tr td.number").first.inner_text() == "60"
    assert many.locator("th.number").get_attribute("aria-sort") == "descending"
    assert "Rows 1 to 50 of 60" in many.locator(".pages").inner_text()
    many.get_by_label("Filter").fill("part 42")
    assert many.locator("tbody tr").count() == 1
    many.get_by_role("button", name="Bridge and ferry, part 42").click()
    many.get_by_role("button", name="Open beside its text").click()
    many.locator(".paper .text").wait_for()
    assert many.locator("h2.headline").inner_text() == "Bridge and ferry, part 42"
    assert many.locator(".summary-text a.quote").count() > 0


def test_rows_that_fail_say_why_and_are_asked_again(many: Page) -> None:
    data = table(3) + b'bad,Numbers,"1 2 3 4 5"\r\n'
    upload(many, "desk.csv", data)
    many.get_by_role("button", name="Analyze all").click()
    many.get_by_role("button", name="Retry 1 failed row").wait_for()
    many.get_by_label("Show").select_option("failed")
    assert "no letter" in many.locator("tbody .bad").inner_text()
    many.get_by_role("button", name="Retry 1 failed row").click()
    many.get_by_role("button", name="Retry 1 failed row").wait_for()


def test_links_a_zip_an_excel_table_and_json_lines_are_tables_too(many: Page, site: Site) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("one.txt", f"Harbour bridge\n\n{TEXT}")
        file.writestr(
            "two.html", f"<html><body><article><h1>Ferries</h1><p>{' '.join(SENTENCES)}</p></article></body></html>"
        )
    book, sheet = openpyxl.Workbook(), io.BytesIO()
    assert book.active is not None
    for row in (["Headline", "Body"], ["Bridge", TEXT], ["Ferry", SENTENCES[0] + " " + SENTENCES[1]]):
        book.active.append(row)
    book.save(sheet)
    lines = "\n".join(json.dumps({"title": "x", "text": TEXT}) for _ in range(2))
    links = f"url\r\n{site.article}\r\n{site.article}\r\n"
    for name, data in (
        ("two.zip", archive.getvalue()),
        ("two.xlsx", sheet.getvalue()),
        ("two.jsonl", lines.encode()),
        ("two.csv", links.encode()),
    ):
        upload(many, name, data)
        assert f"2 articles in {name}" in many.locator(".paper").inner_text()
        many.get_by_role("button", name="Analyze all").click()
        many.locator(".progress").get_by_text("All done.").wait_for()
        assert progress(many) == 2, many.locator("table").inner_text()


def test_tables_down_hold_no_formulas_and_say_that_nothing_was_checked(many: Page, tmp_path: Path) -> None:
    data = b"id,headline,body\r\n=1+1,=HYPERLINK(1)," + f'"{TEXT}"\r\n'.encode()
    upload(many, "desk.csv", data)
    many.get_by_role("button", name="Analyze all").click()
    many.locator(".progress").get_by_text("All done.").wait_for()
    row = next(csv.DictReader(io.StringIO(saved(many, "CSV", tmp_path).decode())))
    assert (row["id"], row["title"]) == ("'=1+1", "'=HYPERLINK(1)")
    assert "not checked" in row["note"]
    sheet = openpyxl.load_workbook(io.BytesIO(saved(many, "Excel", tmp_path))).active
    assert sheet is not None
    assert {cell.data_type for line in sheet.iter_rows() for cell in line} <= {"s", "n", "inlineStr"}
    found = json.loads(saved(many, "JSON", tmp_path))
    assert "not checked" in found[0]["note"]


def test_a_file_that_is_no_table_says_what_one_is(many: Page) -> None:
    drop(many, "photo.png", b"\x89PNG\r\n\x1a\n" + bytes(64), "image/png")
    many.locator(".notice.bad").wait_for()
    assert "CSV" in many.locator(".notice.bad").inner_text()


def test_a_table_is_removed_for_good(many: Page) -> None:
    upload(many, "desk.csv", table(2))
    many.get_by_role("button", name="Remove the table").click()
    many.get_by_text("Drop a table").wait_for()
    many.reload()
    many.get_by_text("Drop a table").wait_for()
    assert many.locator("table").count() == 0


def test_answers_are_not_thrown_away_without_a_question(many: Page) -> None:
    upload(many, "desk.csv", table(1))
    many.get_by_role("button", name="Analyze all").click()
    many.locator(".progress").get_by_text("All done.").wait_for()
    asked: list[str] = []
    many.on("dialog", lambda one: asked.append(one.message))
    many.get_by_role("button", name="Remove the table").click()
    assert "desk.csv" in asked[0]


def test_a_row_without_a_text_says_so_in_the_file(many: Page, tmp_path: Path) -> None:
    upload(many, "desk.csv", table(1) + b"empty,Nothing,\r\n")
    many.get_by_role("button", name="Analyze all").click()
    many.locator(".progress").get_by_text("All done.").wait_for()
    rows = list(csv.DictReader(io.StringIO(saved(many, "CSV", tmp_path).decode())))
    assert "text or a link" in rows[1]["error"]
    assert "None" not in rows[1]["error"]

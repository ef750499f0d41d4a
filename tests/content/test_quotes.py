"""Quotes of CSV files that take other rows into a value, and descriptions of several lines that are fine."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personalization_pipelines.content.catalogue.items import catalogue_file, import_items
from personalization_pipelines.content.files.quotes import MAX_LINE_BREAKS, implausible, misplaced_quote
from personalization_pipelines.content.users.user_tables import import_users, users_file
from personalization_pipelines.foundation.errors import ImportRefused
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website
from tests.content.test_hostile_files import NOW

HEADER = "item_id,price,title\n"


def items_file(directory: Path, *lines: str) -> Path:
    path = directory / "items.csv"
    path.write_text(HEADER + "".join(f"{line}\n" for line in lines), newline="")
    return path


def test_a_quote_that_is_never_closed_in_the_last_column_refuses_the_file_with_its_line(
    home: Home, shop: Website, tmp_path: Path
) -> None:
    lines = [f"{n},1.00,lamp {n}" for n in range(1, 1001)]
    lines[10] = '11,1.00,"lamp 11'
    with pytest.raises(ImportRefused, match=r"line 12: a quote is never closed"):
        import_items(home, shop, [items_file(tmp_path, *lines)], now=NOW)
    assert catalogue_file(home, shop, NOW) is None


def test_no_row_of_users_becomes_a_value_of_another_user(home: Home, shop: Website, tmp_path: Path) -> None:
    path = tmp_path / "users.csv"
    path.write_text('user,city,note\nanna,Bonn,ok\nbert,"Köln,ok\ncanary,Ulm",ok\ndora,Rom,ok\n')
    report = import_users(home, shop, [path], now=NOW)
    assert (report.rows, report.added, report.rejected) == (3, 2, 1)
    assert report.rejects_file is not None
    listed = report.rejects_file.read_text().splitlines()[1]
    assert listed.startswith("users.csv,2,city,lines 3 to 4,a value looks as if it had swallowed the rows behind it")
    stored = users_file(home, shop, NOW)
    assert stored is not None
    for place in (report.rejects_file, stored):
        assert b"canary" not in place.read_bytes()


def test_a_quote_that_closes_inside_another_value_refuses_the_file(home: Home, shop: Website, tmp_path: Path) -> None:
    path = items_file(tmp_path, "1,1,a", '2,1,"5 inch', '3,1,"Lamp"', "4,1,d")
    with pytest.raises(ImportRefused, match=r"line 3: a quote opens a value that goes on for 2 lines and ends in the"):
        import_items(home, shop, [path], now=NOW)


def test_descriptions_of_several_lines_are_read(home: Home, shop: Website, tmp_path: Path) -> None:
    texts = [
        "one\ntwo, three\nfour",
        'a "quoted" word,\nand\n\n5, 6',
        "\n" * 300,
        "x\r\ny",
        '5" pipe',
        "wood, iron\n1, 2",
    ]
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([[n, "1", text] for n, text in enumerate(texts)])
    path = items_file(tmp_path)
    path.write_text(HEADER + out.getvalue() + '9,1,5" pipe\n', newline="")
    report = import_items(home, shop, [path], now=NOW)
    assert (report.added, report.rejected) == (7, 0)


def test_a_value_of_too_many_lines_is_rejected(home: Home, shop: Website, tmp_path: Path) -> None:
    path = items_file(tmp_path, "1,1,a", '2,1,"' + "x\n" * (MAX_LINE_BREAKS + 1) + '"', "3,1,c")
    report = import_items(home, shop, [path], now=NOW)
    assert (report.added, report.rejected) == (2, 1)
    assert list(report.reasons) == ["a value has more than 1,000 line breaks; a quote may be one too many"]


@pytest.mark.parametrize(
    ("value", "column", "first", "swallowed"),
    [
        ("5 inch,9.99\n13,a", 1, "12", True),
        ("5 inch\n13,a,9\n14,b,9", 2, "12", True),
        ("5 inch\n13, a, 9\n14, b, 9", 2, "12", True),
        ("Soft, warm\nand, dry", 1, "12", False),
        ("a\nb", 1, "12", False),
    ],
)
def test_rows_inside_a_value_show_in_its_delimiters(value: str, column: int, first: str, swallowed: bool) -> None:
    assert (implausible(value, column, 3, ",", first) is not None) == swallowed


CELLS = st.text(st.sampled_from('ab",;\n\r '), max_size=8)


@settings(deadline=None, max_examples=300)
@given(
    st.lists(st.lists(CELLS, min_size=2, max_size=3), max_size=6), st.integers(1, 9), st.sampled_from(["\n", "\r\n"])
)
def test_what_a_csv_writer_writes_is_fine_however_it_is_cut(rows: list[list[str]], size: int, end: str) -> None:
    out = io.StringIO()
    csv.writer(out, lineterminator=end).writerows(rows)
    text = out.getvalue()
    assert misplaced_quote((text[n : n + size] for n in range(0, len(text), size)), ",") is None


@settings(deadline=None, max_examples=300)
@given(st.lists(st.lists(CELLS, min_size=2, max_size=3), max_size=6), st.integers(1, 9))
def test_a_quote_that_is_left_open_is_found_with_its_line(rows: list[list[str]], size: int) -> None:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    text = out.getvalue() + 'x,"y\nz\n'
    line = 1 + out.getvalue().replace("\r\n", "\n").replace("\r", "\n").count("\n")
    pieces = (text[n : n + size] for n in range(0, len(text), size))
    assert str(misplaced_quote(pieces, ",")).startswith(f"line {line}: a quote is never closed")

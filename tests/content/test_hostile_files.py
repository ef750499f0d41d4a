"""Files that are broken or made to break: one sentence, nothing stored, no row of the file repeated."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path

import pytest

from personalization_pipelines.content.catalogue.items import catalogue_file, import_items
from personalization_pipelines.content.files.formats.row_format import Csv
from personalization_pipelines.content.files.import_events import import_events
from personalization_pipelines.content.files.read_files import expand_files, find_files, open_file
from personalization_pipelines.content.import_history import import_history
from personalization_pipelines.foundation.errors import ImportRefused
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website
from tests.content.files import purchase, stored_events, write, write_mapping

NOW = datetime(2024, 6, 1, tzinfo=UTC)
HEADER = b"time,event,user,item_id\n"
ROW = b"2024-05-01,buy,canary,1\n"
HOSTILE = {
    "empty.csv": (b"", "the file is empty"),
    "empty.parquet": (b"", "the file is empty"),
    "empty.jsonl": (b"", "the file is empty"),
    "nameless.csv": (b"time,,user\n1,2,3\n", "a column has no name"),
    "twice.csv": (b"time,event,user,item_id,user\n", "names 'user' twice"),
    "latin.csv": (HEADER + ROW + b"2024-05-01,buy,canary\xe9,1\n", "is not utf-8; name its encoding"),
    "latin-header.csv": (b"time,event,\xe9\n", "is not utf-8; name its encoding"),
    "wide.csv": (HEADER + ROW + b"2024-05-01,buy,canary,1,2,3\n", "6 values where the header has 4"),
    "narrow.csv": (HEADER + ROW + b"2024-05-01\n", "1 values where the header has 4"),
    "quote.csv": (HEADER + b'2024-05-01,buy,"canary' + b"x" * (9 << 20), "a quote is never closed"),
    "columns.csv": (",".join(f"c{n}" for n in range(1001)).encode() + b"\n", "at most 1000"),
    "cut.parquet": (b"PAR1 canary", "cannot be read as parquet"),
    "cut.csv.gz": (gzip.compress(HEADER + ROW * 1000)[:-12], ""),
    "array.jsonl": (b'[{"time": 1}]\n', "line 1 is no JSON object"),
    "text.jsonl": (b'{"time":1,"event":"buy","user":"u","item_id":1}\ncanary\n', "line 2 is no JSON object"),
    "twice.jsonl": (b'{"time":1,"event":"buy","user":"canary","user":"b","item_id":1}\n', "a key twice"),
    "nan.jsonl": (b'{"time":1,"event":"buy","user":"canary","item_id":NaN}\n', ""),
    "bytes.jsonl": (b'{"time":1,"event":"buy","user":"canary\xff","item_id":1}\n', ""),
    "items.txt": (b"x", "expected a name that ends in"),
}


@pytest.mark.parametrize("name", list(HOSTILE))
def test_a_hostile_file_is_refused_with_a_sentence_and_nothing_is_stored(
    home: Home, shop: Website, tmp_path: Path, name: str
) -> None:
    data, sentence = HOSTILE[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ImportRefused) as refused:
        import_events(home, shop, [tmp_path / name], now=NOW)
    assert sentence in str(refused.value)
    assert str(tmp_path / name) in str(refused.value)
    assert "canary" not in str(refused.value)
    assert stored_events(home, shop) == []
    assert import_history(home, shop)[-1].error == str(refused.value)


def test_a_bad_line_deep_in_a_json_file_is_refused_without_its_text(home: Home, shop: Website, tmp_path: Path) -> None:
    path = write(tmp_path, "events.jsonl", [purchase()] * 3000)
    path.write_text(path.read_text() + '{"user": "canary", "time"\n')
    with pytest.raises(ImportRefused, match="no JSON lines") as refused:
        import_events(home, shop, [path], now=NOW)
    assert "canary" not in str(refused.value)
    assert stored_events(home, shop) == []


def test_a_parquet_file_that_breaks_in_the_middle_stores_nothing(home: Home, shop: Website, tmp_path: Path) -> None:
    path = write(tmp_path, "events.parquet", [purchase(item=n) for n in range(5000)])
    data = bytearray(path.read_bytes())
    data[40:2000] = b"\xff" * 1960
    path.write_bytes(data)
    with pytest.raises(ImportRefused, match="damaged Parquet"):
        import_events(home, shop, [path], now=NOW)
    assert stored_events(home, shop) == []


def test_a_huge_attribute_rejects_its_row_only(home: Home, shop: Website, tmp_path: Path) -> None:
    rows = [{"item_id": 1, "title": "x" * 70_000}, {"item_id": 2, "title": "fine"}]
    report = import_items(home, shop, [write(tmp_path, "items.csv", rows)], now=NOW)
    assert (report.added, report.reasons) == (1, {"attribute title is longer than 65,536 characters": 1})


def test_two_hundred_attributes_are_the_limit(home: Home, shop: Website, tmp_path: Path) -> None:
    row = {"item_id": 1, **{f"a{n}": "x" for n in range(201)}}
    with pytest.raises(ImportRefused, match="at most 200"):
        import_items(home, shop, [write(tmp_path, "items.csv", [row])], now=NOW)
    assert catalogue_file(home, shop, NOW) is None


def test_formulas_are_disarmed_in_the_list_of_rejects(home: Home, shop: Website, tmp_path: Path) -> None:
    rows = [purchase(), purchase(item='=HYPERLINK("http://x")'), purchase(item="@SUM(A1)"), purchase(item="-1")]
    report = import_events(home, shop, [write(tmp_path, "events.csv", rows)], now=NOW)
    assert report.rejects_file is not None
    cells = [line.split(",")[3] for line in report.rejects_file.read_text().splitlines()[1:]]
    assert [cell.lstrip('"')[0] for cell in cells] == ["'", "'", "'"]


def test_latin_1_is_read_where_the_mapping_says_so(home: Home, shop: Website, tmp_path: Path) -> None:
    mapping = write_mapping(tmp_path, "kind: events\ncsv: {encoding: latin-1, delimiter: ';'}\n")
    (tmp_path / "events.csv").write_bytes("time;event;user;item_id;order\n2024-05-01;buy;é;1;né\n".encode("latin-1"))
    import_events(home, shop, [tmp_path / "events.csv"], mapping=mapping, now=NOW)
    assert stored_events(home, shop)[0]["order_id"] == "né"


def test_a_byte_order_mark_is_no_part_of_the_first_column(home: Home, shop: Website, tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_bytes(b"\xef\xbb\xbf" + HEADER + ROW)
    assert import_events(home, shop, [tmp_path / "events.csv"], now=NOW).added == 1


def test_a_header_without_rows_brings_no_event(home: Home, shop: Website, tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_bytes(HEADER)
    report = import_events(home, shop, [tmp_path / "events.csv"], now=NOW)
    assert (report.rows, report.added) == (0, 0)


@pytest.mark.parametrize("name", ["users.xml", "users.json", "users.export", "users.json.gz"])
def test_documents_hold_items_only(tmp_path: Path, name: str) -> None:
    with pytest.raises(ImportRefused, match="files hold items only"):
        open_file(tmp_path / name, Csv())
    with pytest.raises(ImportRefused, match="xml files hold items only"):
        open_file(tmp_path / "users.csv", Csv(), "xml")


def test_files_are_found_by_path_and_pattern_and_their_absence_is_said(home: Home, tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv"):
        (home.root / name).write_text("x")
    assert [path.name for path in find_files([home.root / "b.csv", str(home.root / "*.csv")])] == ["b.csv", "a.csv"]
    assert expand_files(home, "*.csv") == [home.root / "a.csv", home.root / "b.csv"]
    with pytest.raises(ImportRefused, match="no such file"):
        find_files([tmp_path / "nothing-*.csv"])
    with pytest.raises(ImportRefused, match="a directory"):
        find_files([tmp_path])
    with pytest.raises(ImportRefused, match="no file was given"):
        find_files([])

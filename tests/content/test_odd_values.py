"""Odd values through every reader: stored, rejected and listed, or the file refused in a sentence of ours.

Each odd value stands in a row of its own for an id, a price and a text, behind a row that is fine.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from personalization_pipelines.cli import main
from personalization_pipelines.content.import_history import import_history, imports_directory
from personalization_pipelines.content.report import Kind
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website
from tests.conftest import make_website

Odd = tuple[str, bytes]

DEEP = 400
TOKENS = {
    "2^63": str(2**63),
    "2^64": str(2**64),
    "4,000 digits": "9" * 4000,
    "5,000 digits": "9" * 5000,
    "1e400": "1e400",
    "-1e400": "-1e400",
    "a long exponent": "1e99999999999999999999",
    "a small number": "1e-400",
    "-0": "-0",
    "-0.0": "-0.0",
    "a fraction": "17.5",
    "NaN": "NaN",
    "Infinity": "-Infinity",
    "true": "true",
    "null": "null",
    "a list": "[1, [2]]",
    "a list of large numbers": f"[{2**64}, 1e400]",
    "an object": '{"a": {"b": 18446744073709551616}}',
    "deep": "[" * DEEP + "]" * DEEP,
    "very deep": '{"a":' * 50_000 + "1" + "}" * 50_000,
    "half a character": '"\\ud800"',
    "the other half": '"\\udc00x"',
    "NUL": '"\\u0000"',
    "controls": '"a\\tb\\nc\\u001f"',
    "replacement": '"\\ufffd"',
    "long": '"' + "x" * 200_000 + '"',
    "empty": '""',
    "blank": '"  "',
    "digits of another script": '"\\u0661\\u0662"',
    "formula": '"=1+1"',
    "path": '"../../etc/passwd"',
    "SQL": '"1\'; drop table items; --"',
    "keys twice": '{"a": 1, "a": 2}',
    "half a key": '{"\\ud800": 1}',
}
FIELDS: dict[Kind, dict[str, str]] = {
    "events": {"time": '"2024-05-01"', "event": '"buy"', "user": '"u"', "item_id": "1", "price": "1", "session": '"s"'},
    "items": {"item_id": "1", "price": "1", "title": '"t"', "valid_to": '"2030-01-01"'},
    "users": {"user": '"u"', "source": '"crm"', "city": '"c"', "land": '"l"'},
}
EXPORT = {"contentId": "1", "contentTypeId": "1", "price": "1", "title": '"t"', "validTo": '"2030-01-01"'}
SHARED = ("time", "event", "contentTypeId", "land")
LIBRARIES = (
    "Traceback", "TypeError", "OverflowError", "ValueError", "KeyError", "Unicode", "duckdb", "DuckDB", "Arrow",
    "arrow", "sqlalchemy", "msgspec", "orjson", "decimal", "Decimal", "codec", "object at 0x", "expat", "ijson",
)  # fmt: skip


def odd_rows(fields: dict[str, str], token: str) -> list[dict[str, str]]:
    """Return a row that is fine, and one for each field (but those that a row is nothing without) with a token."""
    rows = [dict(fields)]
    first = next(name for name in fields if name in ("item_id", "user", "contentId"))
    for number, name in enumerate((name for name in fields if name not in SHARED), 2):
        rows.append({**fields, first: str(number), name: token})
    return rows


def json_object(row: dict[str, str]) -> str:
    return "{" + ", ".join(f'"{name}": {token}' for name, token in row.items()) + "}"


def lines_of(kind: Kind) -> Iterator[Odd]:
    for name, token in TOKENS.items():
        yield name, "".join(f"{json_object(row)}\n" for row in odd_rows(FIELDS[kind], token)).encode()
    good = json_object(FIELDS[kind])
    first = {"user" if kind == "users" else "item_id": "2"}
    other = json_object(FIELDS[kind] | first)
    for name, line in {
        "keys by case": other[:-1] + ', "Price": 2, "PRICE": 3, "pRiCe": 4}',
        "a key twice": good[:-1] + ', "x": 1, "x": 2}',
        "half a key": good[:-1] + ', "\\ud800": 1}',
        "NUL in a key": good[:-1] + ', "a\\u0000": 1}',
        "no name": good[:-1] + ', "": 1}',
        "a long line": good[:-1] + ', "x": "' + "y" * (17 << 20) + '"}',
        "two objects": good * 2,
        "cut off": good[:-3],
        "raw NUL": "\x00",
        "a number": "7",
    }.items():
        yield name, f"{good}\n{line}\n".encode()
    yield "no UTF-8", f"{good}\n".encode() + good.encode().replace(b'"', b'"\xff')
    yield "half a character in UTF-8", good.encode()[:-1] + b', "x": "\xed\xa0\x80"}\n'


def csv_of(kind: Kind, delimiter: str) -> Iterator[Odd]:
    def written(rows: list[dict[str, str]]) -> bytes:
        out = io.StringIO()
        writer = csv.writer(out, delimiter=delimiter)
        writer.writerow(rows[0])
        writer.writerows([[cell.strip('"') for cell in row.values()] for row in rows])
        return out.getvalue().encode()

    fields = FIELDS[kind]
    for name, token in TOKENS.items():
        yield name, written(odd_rows(fields, token))
    for name, text in {"NUL": b"\x00", "no UTF-8": b"\xff", "half a character": b"\xed\xa0\x80"}.items():
        yield f"raw {name}", written(odd_rows(fields, "canary")).replace(b"canary", text)
    good = written([fields])
    row = good.splitlines()[1]
    yield "a quote inside", good + (row.replace(b"u", b'u"') if kind == "users" else row.replace(b"1", b'1"'))
    yield "a quote before", good + delimiter.encode().join(b'"' + cell for cell in good.split(b"\r\n")[1].split(b","))
    yield "a huge row", good + b"x" * (9 << 20)
    yield "a row too long", good + good.splitlines()[1] + delimiter.encode() * 3


ARRAYS: dict[str, pa.Array] = {
    "uint64": pa.array([2**64 - 1], pa.uint64()),
    "int64": pa.array([-(2**63)]),
    "decimal": pa.array([Decimal("1.50")]),
    "large decimal": pa.array([Decimal(10**70)], pa.decimal256(76, 0)),
    "NaN": pa.array([float("nan")]),
    "infinity": pa.array([float("-inf")]),
    "-0.0": pa.array([-0.0]),
    "2^60 as a float": pa.array([2.0**60]),
    "fraction": pa.array([17.5]),
    "half float": pa.array([1.5], pa.float32()).cast(pa.float16()),
    "bool": pa.array([True]),
    "null": pa.nulls(1),
    "list": pa.array([[1, None]]),
    "list of lists": pa.array([[[2**63]]], pa.list_(pa.list_(pa.uint64()))),
    "fixed list": pa.array([[1, 2]], pa.list_(pa.int8(), 2)),
    "large list": pa.array([["a"]], pa.large_list(pa.string())),
    "struct": pa.array([{"a": {"b": 2**64 - 1}}], pa.struct([("a", pa.struct([("b", pa.uint64())]))])),
    "map": pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())),
    "bytes": pa.array([b"7"]),
    "bytes without text": pa.array([b"\xff\x00"]),
    "fixed bytes": pa.array([b"\xff\xfe"], pa.binary(2)),
    "list of bytes": pa.array([[b"\xff"]]),
    "no UTF-8": pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(b"\x00\x00\x00\x00\x02\x00\x00\x00"), pa.py_buffer(b"\xff\xfe")]
    ),
    "large string": pa.array(["7"], pa.large_string()),
    "string view": pa.array(["7"], pa.string_view()),
    "dictionary": pa.array(["7"]).dictionary_encode(),
    "dictionary of numbers": pa.array([2**60]).dictionary_encode(),
    "nanoseconds": pa.array([1], pa.timestamp("ns")),
    "the year 200000": pa.array([6_248_000_000_000], pa.timestamp("s")),
    "far days": pa.array([2**31 - 1], pa.int32()).cast(pa.date32()),
    "a date": pa.array([date(2024, 5, 1)]),
    "time": pa.array([1], pa.time64("us")),
    "nanosecond of a day": pa.array([1], pa.time64("ns")),
    "duration": pa.array([timedelta(days=-1)]),
    "long duration": pa.array([2**62], pa.duration("s")),
    "list of nanoseconds": pa.array([[1]], pa.list_(pa.timestamp("ns"))),
    "list of far seconds": pa.array([[2**40]], pa.list_(pa.timestamp("s"))),
    "text with NUL": pa.array(["a\x00b"]),
}


def parquet_of(kind: Kind) -> Iterator[Odd]:
    texts = {name: pa.array([token.strip('"')]) for name, token in FIELDS[kind].items()}
    first = "user" if kind == "users" else "item_id"
    others = [name for name in texts if name not in (*SHARED, first)]
    for name, odd in ARRAYS.items():
        for fields in ([first], others):
            sink = pa.BufferOutputStream()
            pq.write_table(pa.table({**texts, **dict.fromkeys(fields, odd)}), sink)
            yield f"{name} as {fields}", sink.getvalue().to_pybytes()


def export_of() -> Iterator[Odd]:
    for name, token in TOKENS.items():
        listed = ", ".join(json_object(row) for row in odd_rows(EXPORT, token))
        yield name, f'{{"contentList": {{"content": [{listed}]}}}}'.encode()


def xml_of() -> Iterator[Odd]:
    for name, token in TOKENS.items():
        text = json.loads(token) if token.startswith('"') else token[:100_000]
        value = "".join(f"&#{ord(c)};" for c in text) if len(text) < 99 else text.replace('"', "")
        for place in (
            f'id="{value}"><price>1</price>',
            f'id="1"><price>{value}</price>',
            f'id="1"><title>{value}</title>',
        ):
            item = f'<item type="1" {place}</item>'
            yield name, f'<?xml version="1.0"?><items version="1">{item}</items>'.encode()


FILES: dict[tuple[Kind, str], Any] = {
    **{(kind, "jsonl"): lambda kind=kind: lines_of(kind) for kind in FIELDS},
    **{(kind, "csv"): lambda kind=kind: csv_of(kind, ",") for kind in FIELDS},
    **{(kind, "parquet"): lambda kind=kind: parquet_of(kind) for kind in FIELDS},
    ("events", "tsv"): lambda: csv_of("events", "\t"),
    ("items", "export"): export_of,
    ("items", "xml"): xml_of,
}


@pytest.mark.parametrize(("kind", "form"), list(FILES), ids=lambda value: str(value))
def test_no_exception_of_a_library_reaches_a_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Kind, form: str
) -> None:
    failures = []
    for number, (name, data) in enumerate(FILES[kind, form]()):
        ids = ("numeric", "alphanumeric")[form in ("jsonl", "parquet", "export")]
        home = Home(tmp_path / str(number))
        home.create()
        monkeypatch.setenv("PERSONALIZATION_HOME", str(home.root))
        (home.websites / "shop.yaml").write_text(
            f'website: shop\ncustomer_id: "1"\nlicense_key: abcd-efgh\nitem_ids: {ids}\n'
        )
        path = home.root / f"odd.{form}"
        path.write_bytes(data)
        result = CliRunner().invoke(main, ["import", kind, str(path), "--website", "shop"])
        if problem := wrong(result.output, result.exception, home, make_website(website="shop")):
            failures.append(f"{name}: {problem}")
    assert not failures, "\n".join(failures)


def wrong(output: str, error: BaseException | None, home: Home, website: Website) -> str:
    """Return what an import did wrong: an error of its own, a library's word, or rows nobody accounts for."""
    if error is not None and not isinstance(error, SystemExit):
        return f"{type(error).__name__}: {error}"[:300]
    (row,) = import_history(home, website)
    said = output + row.error
    if row.rejects_file:
        said += (imports_directory(home, website) / row.rejects_file).read_text()
    if found := [word for word in LIBRARIES if word in said]:
        return f"{found} in {said[:300]}"
    if error is not None:
        return "" if row.error else "failed without a sentence"
    return "" if row.rows == row.added + row.rejected and bool(row.rejected) == bool(row.rejects_file) else str(row)

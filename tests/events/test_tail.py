"""Reading on in the log: nothing skipped, nothing read twice, whatever the writers do meanwhile."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from personalization_pipelines.events.log.segments import frame, segment_path
from personalization_pipelines.events.log.tail import Position, Tail

A, B = "a" * 16, "b" * 16


def test_each_record_is_handed_out_once_in_the_order_of_its_writer(tmp_path: Path) -> None:
    write(tmp_path, A, 1, b"1", b"2", sealed=True)
    write(tmp_path, A, 4, b"3", sealed=True)
    write(tmp_path, A, 5, b"4", sealed=False)
    write(tmp_path, B, 1, b"x", sealed=False)
    records, positions = read(Tail(tmp_path), {})
    assert records == [b"1", b"2", b"3", b"4", b"x"]
    assert read(Tail(tmp_path), positions) == ([], positions)


def test_a_segment_that_is_still_open_holds_back_the_ones_after_it(tmp_path: Path) -> None:
    write(tmp_path, A, 1, b"1", sealed=False)
    write(tmp_path, A, 2, b"3", sealed=False)
    tail = Tail(tmp_path)
    first, positions = read(tail, {})
    write(tmp_path, A, 1, b"1", b"2", sealed=False)
    seal(tmp_path, A, 1)
    second, positions = read(tail, positions)
    assert (first, second) == ([b"1"], [b"2", b"3"])


def test_a_segment_sealed_after_the_listing_is_read_under_its_new_name(tmp_path: Path) -> None:
    write(tmp_path, A, 1, b"1", sealed=False)
    tail = Tail(tmp_path)
    spans = tail.unread({})
    tail.listing()
    seal(tmp_path, A, 1)
    assert [payload for span in spans for _, payload in span.records] == [b"1"]


def test_an_empty_segment_that_was_removed_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path, A, 1, b"1", sealed=True)
    path = write(tmp_path, A, 2, sealed=False)
    tail = Tail(tmp_path)
    tail.listing()
    path.unlink()
    write(tmp_path, A, 3, b"2", sealed=True)
    first, positions = read(tail, {})
    second, _ = read(tail, positions)
    assert first + second == [b"1", b"2"]


def test_a_log_that_does_not_exist_yet_is_empty(tmp_path: Path) -> None:
    assert read(Tail(tmp_path / "log"), {}) == ([], {})


def test_several_damaged_stretches_are_each_reported_and_passed(tmp_path: Path) -> None:
    framed = [frame(b"record %d" % n) for n in range(7)]
    for broken in (1, 3, 4):
        framed[broken] = framed[broken][:-1] + b"?"
    segment_path(tmp_path, A, 1, sealed=True).write_bytes(b"".join(framed))
    spans = list(Tail(tmp_path).unread({}))
    assert [payload for span in spans for _, payload in span.records] == [b"record %d" % n for n in (0, 2, 5, 6)]
    assert [len(span.damage.data) for span in spans if span.damage] == [16, 32]
    assert [span.finished for span in spans] == [False] * (len(spans) - 1) + [True]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_interleaving_of_writing_sealing_and_reading_gives_every_record_once(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory, tail = Path(name), Tail(Path(name))
        positions: dict[str, Position] = {}
        written: list[bytes] = []
        got: list[bytes] = []
        numbers = {A: 1, B: 1}
        for step in data.draw(st.lists(st.sampled_from(["write", "seal", "read", "restart"]), max_size=25)):
            writer = data.draw(st.sampled_from([A, B]))
            if step == "write":
                payload = b"%d" % len(written)
                with segment_path(directory, writer, numbers[writer], sealed=False).open("ab") as file:
                    file.write(frame(payload))
                written.append(payload)
            elif step == "seal" and segment_path(directory, writer, numbers[writer], sealed=False).exists():
                seal(directory, writer, numbers[writer])
                numbers[writer] += data.draw(st.integers(1, 3))
            elif step == "read":
                records, positions = read(tail, positions, limit=data.draw(st.integers(1, 4)))
                got += records
            elif step == "restart":
                tail = Tail(directory)
        got += read(tail, positions)[0]
        assert sorted(got, key=int) == written


def write(directory: Path, writer: str, number: int, *payloads: bytes, sealed: bool) -> Path:
    path = segment_path(directory, writer, number, sealed=sealed)
    path.write_bytes(b"".join(frame(payload) for payload in payloads))
    return path


def seal(directory: Path, writer: str, number: int) -> None:
    open_path = segment_path(directory, writer, number, sealed=False)
    open_path.rename(segment_path(directory, writer, number, sealed=True))


def read(tail: Tail, positions: dict[str, Position], limit: int = 10_000) -> tuple[list[bytes], dict[str, Position]]:
    """What is unread, and the positions after it."""
    records: list[bytes] = []
    after = dict(positions)
    for span in tail.unread(positions, limit):
        records += [payload for _, payload in span.records]
        after[span.segment.writer] = span.position
    return records, after

"""Historical events from files into the lake, each file exactly once, user ids gone before anything is stored.

Every file is an import of its own (its id is the digest of bytes, mapping, options and website), so a folder that
grows can be imported again and again. Several files, times that are to be shifted, and what may be stored already are
read twice: first to see that all can be read, what is new and what the newest time is, then to store them; so one
broken file leaves everything unchanged, and one that is mostly what the lake holds is refused before it counts twice.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from personalization_pipelines.content.files.canonical_rows import CATEGORY_REASON, Canonical, id_columns, read_columns
from personalization_pipelines.content.files.canonical_values import category_paths, labels, segment_ids, whole_numbers
from personalization_pipelines.content.files.formats.row_format import SourceFile
from personalization_pipelines.content.files.looks import Looks, add_examples
from personalization_pipelines.content.files.object_stores import Given
from personalization_pipelines.content.files.opening import Job, opened
from personalization_pipelines.content.files.read_files import FileFormat
from personalization_pipelines.content.files.times import FUTURE_TOLERANCE, MICROSECONDS
from personalization_pipelines.content.files.verdicts import RejectsFile
from personalization_pipelines.content.import_history import import_history, imports_directory, record_import, row_of
from personalization_pipelines.content.report import ImportReport, rows
from personalization_pipelines.events.judging.rules import MAX_INT32, RULES
from personalization_pipelines.events.lake.equal_rows import equal_to_stored, row_keys
from personalization_pipelines.events.lake.event_lake import append_import, event_files, imports
from personalization_pipelines.foundation.errors import ImportRefused
from personalization_pipelines.foundation.fingerprint import fingerprint
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.foundation.progress import Progress
from personalization_pipelines.website import Website

EVENTS = frozenset(
    {rule.name for rule in RULES.values()}
    - {"rendered", "clickrecommended", "triggeropened", "clicktriggered", "login"}
)
"""What a file can bring; recommendations and messages shown and followed are this service's own: only tracked.
A login has two users, for which files have no column."""

_DAY = timedelta(days=1)
_FEW = 1000
SKIP_EQUAL = "--skip-equal"
_NO_KEYS = pa.table({"time": pa.array([], MICROSECONDS), "digest": pa.array([], pa.uint64())})


@dataclass
class _Tally:
    """What one pass over files has seen."""

    rows: int = 0
    taken: int = 0
    listed: int = 0
    anonymous: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    newest: datetime | None = None
    looks: Looks = field(default_factory=Looks)

    def count(self, file: str, batch: Canonical, table: pa.Table) -> None:
        self.rows += batch.rows
        self.taken += table.num_rows
        self.anonymous += pc.sum(pc.equal(table["visitor"], "")).as_py() or 0
        self.reasons += batch.verdicts.reasons()
        self.listed += batch.verdicts.listed_rows
        newest = pc.max(table["time"]).as_py()
        self.newest = max(filter(None, (self.newest, newest)), default=None)
        add_examples(self.examples, file, batch.verdicts)

    def notes(self) -> list[str]:
        """Return what is to be said of values: an example of each odd kind, and what may mean something else."""
        return [*self.examples.values(), *self.looks.lines()]


@dataclass(frozen=True)
class _Seen:
    """What looking at the files has shown: days to shift times by, and the rows taken that are stored already."""

    days: int
    equal: dict[str, npt.NDArray[np.bool_]]

    def mostly(self, import_id: str) -> bool:
        """Say whether more than half of a file is stored already: it is one that has grown, or is written otherwise."""
        equal = self.equal.get(import_id, ())
        return 2 * int(np.sum(equal)) > len(equal)


def import_events(
    home: Home,
    website: Website,
    files: Sequence[Given],
    *,
    mapping: str | Path | None = None,
    shift_to_now: bool = False,
    skip_equal: bool | Literal["of grown files"] = False,
    force: bool = False,
    format: FileFormat | None = None,
    now: datetime | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """Import events of files (paths or patterns) into the website's lake; return what became of every row.

    `mapping` is the path of a mapping file or the name of a shipped one; `format` goes before a file's suffix.
    `shift_to_now` moves all times by the same number of whole days, so that the newest event is of the last 24 hours.
    Files that were imported before are skipped. `skip_equal` stores of others only what does not equal a stored event,
    or does so for files only of which more than half is stored already: what nobody watches can not ask.
    `force` takes a file again that was imported with another mapping or other options, or of which more than half is
    stored already; it then counts twice.

    Raises ImportRefused, and leaves everything as it was, where a file cannot be read, lacks columns, or holds no
    row that could be taken; Busy while another process writes into this lake.
    """
    with opened("events", home, website, files, mapping, now, progress, format) as job:
        return _Import(job, shift_to_now, skip_equal, force).run()


class _Import:
    """One call of `import_events`."""

    def __init__(self, job: Job, shift_to_now: bool, skip_equal: bool | str, force: bool) -> None:
        self.job = job
        self.shift_to_now = shift_to_now
        self.skip_equal = skip_equal
        self.force = force
        self.began = time.monotonic()
        self.latest = pa.scalar((job.now + FUTURE_TOLERANCE).replace(tzinfo=None), MICROSECONDS)
        self.key = job.home.key

    def run(self) -> ImportReport:
        ids = {digest: self.job.import_id(digest, shift=self.shift_to_now) for digest in self.job.digests}
        stored = {record.import_id for record in imports(self.job.home, self.job.website)}
        fresh = {digest: one for digest, one in ids.items() if one not in stored}
        if not fresh:
            return self._report(ids, _Tally(), 0, None, already_imported=True)
        if not self.force:
            self._refuse_again(fresh, stored)
        sources = {ids[digest]: source for digest, source in zip(self.job.digests, self.job.files, strict=True)}
        return self._store(fresh, {one: sources[one] for one in fresh.values()}, skipped=len(ids) - len(fresh))

    def _refuse_again(self, fresh: dict[str, str], stored: set[str]) -> None:
        for row in import_history(self.job.home, self.job.website):
            for digest, import_id in row.parts.items():
                if row.kind == "events" and digest in fresh and import_id in stored:
                    raise ImportRefused(
                        f"{self._path(digest)}: the same events were imported on {row.time:%Y-%m-%d} with "
                        f"{row.mapping or 'no mapping'} and would count twice; to have them twice, force it"
                    )

    def _path(self, digest: str) -> Path:
        return self.job.sources[self.job.digests.index(digest)].path

    def _store(self, fresh: dict[str, str], sources: dict[str, SourceFile], skipped: int) -> ImportReport:
        seen = self._look(sources)
        tally, added = _Tally(), 0
        self.job.known["transaction"] = _joint(fresh)
        path = imports_directory(self.job.home, self.job.website) / f"{_joint(fresh)}.rejects.csv"
        with RejectsFile(path) as rejects:
            for import_id, source in sources.items():
                tables = self._tables(source, tally, rejects, seen.days)
                if self._skips(seen, import_id):
                    tables = _left(tables, seen.equal[import_id])
                added += append_import(self.job.home, self.job.website, tables, import_id, self.job.now)
        notes = [f"times shifted by {seen.days:,} days"] if self.shift_to_now else []
        notes += self._of_equal(seen, tally.taken) + tally.notes()
        notes += [f"files skipped because they were imported before: {skipped}"] if skipped else []
        report = self._report(fresh, tally, added, rejects.written, notes)
        row = row_of(report, self.job.now, parts=fresh, mapping=self.job.mapping.name)
        record_import(self.job.home, self.job.website, row)
        return report

    def _look(self, sources: dict[str, SourceFile]) -> _Seen:
        """Read files wholly, where that has to be before any of them is stored. Raises ImportRefused for a broken one,
        and for one that is mostly stored already.
        """
        compared = bool(event_files(self.job.home, self.job.website)) and (self.skip_equal or not self.force)
        tally, keys = _Tally(), dict[str, pa.Table]()
        if len(sources) > 1 or compared:
            for import_id, source in sources.items():
                tables = self._tables(source, tally, None, 0)
                keys[import_id] = pa.concat_tables(
                    [_NO_KEYS, *(row_keys(one) if compared else _NO_KEYS for one in tables)]
                )
        elif self.shift_to_now:
            tally.newest = self._newest(*sources.values())
        moved = self.shift_to_now and tally.newest is not None
        days = (self.job.now.replace(tzinfo=None) - tally.newest) // _DAY if moved and tally.newest else 0
        seen = _Seen(days, self._equal(keys, days))
        for import_id, source in sources.items():
            if seen.mostly(import_id) and not self._skips(seen, import_id):
                self._refuse_equal(source, seen.equal[import_id])
        return seen

    def _skips(self, seen: _Seen, import_id: str) -> bool:
        return seen.mostly(import_id) if self.skip_equal == "of grown files" else bool(self.skip_equal)

    def _newest(self, source: SourceFile) -> datetime | None:
        """Return the newest time of the rows that will be taken; only few are read, as each row is judged alone."""
        found, rules = [], self.job.mapping.rules
        for batch in source.batches(read_columns(rules, source.columns), id_columns(rules, source.columns)):
            times = Canonical(rules, self.job.website, batch, 1).times("time")
            for count in (_FEW, batch.num_rows):
                newest = pc.select_k_unstable(times, count, [("time", "descending")])
                table = read_events(Canonical(rules, self.job.website, batch.take(newest), 1), self.key, self.latest)
                if table.num_rows:
                    found.append(pc.max(table["time"]).as_py())
                    break
        return max(found, default=None)

    def _equal(self, keys: dict[str, pa.Table], days: int) -> dict[str, npt.NDArray[np.bool_]]:
        """Return which rows of each file are stored already; one that is stored once stands for one row of all."""
        joint = pa.concat_tables([_NO_KEYS, *keys.values()])
        shifted = pc.add(joint["time"], pa.scalar(days * _DAY, pa.duration("us")))
        equal = equal_to_stored(self.job.home, self.job.website, joint.set_column(0, "time", shifted))
        ends = np.cumsum([table.num_rows for table in keys.values()])
        return dict(zip(keys, np.split(equal, ends[:-1]) if keys else [], strict=True))

    def _refuse_equal(self, source: SourceFile, equal: npt.NDArray[np.bool_]) -> None:
        raise ImportRefused(
            f"{source.path}: {int(equal.sum()):,} of {rows(len(equal))} equal events that are stored already and would "
            f"count twice; {SKIP_EQUAL} stores only the others, --force stores all of them again"
        )

    def _of_equal(self, seen: _Seen, taken: int) -> list[str]:
        """Return how many rows were stored already, those that were left out and those that count twice."""
        same = {True: 0, False: 0}
        for import_id, equal in seen.equal.items():
            same[self._skips(seen, import_id)] += int(equal.sum())
        done = {True: "they were left out", False: f"they count twice ({SKIP_EQUAL} leaves them out)"}
        return [
            f"{count:,} of {rows(taken)} equal events that were stored already; {done[skipped]}"
            for skipped, count in same.items()
            if count
        ]

    def _tables(self, source: SourceFile, tally: _Tally, rejects: RejectsFile | None, days: int) -> Iterator[pa.Table]:
        """Yield a file's events. Counts go to `tally`, rejected rows to `rejects`."""
        progress, rules = self.job.progress, self.job.mapping.rules
        progress.begin(f"{source.path.name}{' (looking)' if rejects is None else ''}", source.rows)
        before, row, shift = (tally.taken, tally.listed), 1, pa.scalar(days * _DAY, pa.duration("us"))
        for batch in source.batches(read_columns(rules, source.columns), id_columns(rules, source.columns)):
            read = Canonical(rules, self.job.website, batch, row)
            table = read_events(read, self.key, self.latest)
            tally.count(source.path.name, read, table)
            if rejects is not None:
                rejects.add(source.path.name, read.verdicts)
                tally.looks.look(source.path.name, read)
            row += batch.num_rows
            progress.advance(batch.num_rows)
            yield table.set_column(0, "time", pc.add(table["time"], shift))
        progress.end()
        if tally.taken == before[0] and tally.listed > before[1]:
            why = "; ".join((_most(tally.reasons), *tally.examples.values()))
            raise ImportRefused(f"{source.path}: no row could be taken: {why}; nothing was imported")

    def _report(
        self,
        ids: dict[str, str],
        tally: _Tally,
        added: int,
        rejects: Path | None,
        notes: Sequence[str] = (),
        *,
        already_imported: bool = False,
    ) -> ImportReport:
        return ImportReport(
            kind="events",
            website=self.job.website.name,
            files=self.job.names,
            import_id=_joint(ids),
            rows=tally.rows,
            added=added,
            rejected=tally.rows - tally.taken,
            anonymous=tally.anonymous,
            reasons=dict(tally.reasons),
            rejects_file=rejects,
            seconds=time.monotonic() - self.began,
            notes=(*notes, *self.job.notes()),
            already_imported=already_imported,
        )


def read_events(batch: Canonical, key: bytes, latest: pa.Scalar) -> pa.Table:
    """Return the rows of a batch that are events, as lake columns (`time` first); the others get a verdict."""
    times = read_times(batch, latest)
    kinds = batch.text("event")
    kinds = pc.if_else(pc.is_in(kinds, pa.array(sorted(EVENTS))), kinds, pa.scalar(None, pa.string()))
    batch.required("event", kinds, f"event is none of {', '.join(sorted(EVENTS))}")
    price_minor, currency = batch.money()
    columns = {
        "time": times,
        "event": kinds,
        "visitor": batch.visitors(key),
        "item_type": batch.item_types(),
        "item": batch.item_ids(),
        "quantity": _quantity(batch, kinds),
        "price_minor": price_minor,
        "currency": currency,
        "rating": _number(batch, "rating", 0, 100, pa.int16()),
        "percentage": _number(batch, "percentage", 0, 100, pa.int16()),
        **_lists_and_labels(batch),
    }
    unrated = pc.and_(pc.equal(kinds, "rate"), columns["rating"].is_null())
    batch.verdicts.reject(unrated, batch.name("rating"), "a rate event needs a rating", None)
    return pa.table(columns).filter(pa.array(batch.verdicts.kept))


def read_times(batch: Canonical, latest: pa.Scalar) -> pa.Array:
    """Return a batch's times of events, from 1970 up to `latest`; rows without such a time get a verdict."""
    times, name = batch.times("time"), batch.name("time")
    batch.required(
        "time", times, "time is not readable; expected ISO 8601, seconds since 1970, or what the mapping says"
    )
    cells = batch.cells("time")
    batch.verdicts.reject(pc.less(times, pa.scalar(0, MICROSECONDS)), name, "time is before 1970", cells)
    batch.verdicts.reject(pc.greater(times, latest), name, "time is in the future (or in another unit)", cells)
    return times


def _number(batch: Canonical, canonical: str, lowest: int, highest: int, kind: pa.DataType) -> pa.Array:
    cells = batch.cells(canonical)
    if cells is None:
        return pa.nulls(batch.rows, kind)
    numbers = whole_numbers(cells, lowest, highest, kind)
    batch.optional(canonical, numbers, f"{canonical} is no whole number from {lowest} to {highest}")
    return numbers


def _quantity(batch: Canonical, kinds: pa.Array) -> pa.Array:
    numbers = _number(batch, "quantity", 1, MAX_INT32, pa.int32())
    bought = pc.fill_null(pc.equal(kinds, "buy"), False)
    return pc.if_else(bought, pc.fill_null(numbers, 1), numbers)


def _lists_and_labels(batch: Canonical) -> dict[str, pa.Array]:
    categories, segments = batch.category(), batch.cells("segments")
    found: dict[str, pa.Array] = {}
    if categories is not None:
        paths = category_paths(categories, batch.rules.category_separator)
        batch.verdicts.unreadable(paths, categories, batch.name("category"), CATEGORY_REASON)
        found["categories"] = pc.fill_null(paths, [])
    if segments is not None:
        numbers = segment_ids(segments)
        batch.optional("segments", numbers, "segments is no list of whole numbers like 7,11")
        found["segments"] = pc.fill_null(numbers, [])
    for canonical, column in (("session", "session"), ("order", "order_id"), ("event_id", "event_id")):
        cells = batch.cells(canonical)
        if cells is not None:
            batch.whole_ids(canonical)
            texts = labels(cells)
            batch.optional(canonical, texts, f"{canonical} is longer than 128 characters or has control characters")
            found[column] = pc.fill_null(texts, "")
    return found


def _left(tables: Iterator[pa.Table], equal: npt.NDArray[np.bool_]) -> Iterator[pa.Table]:
    """Yield tables without the rows that are stored already."""
    first = 0
    for table in tables:
        yield table.filter(pa.array(~equal[first : first + table.num_rows]))
        first += table.num_rows


def _joint(ids: dict[str, str]) -> str:
    """Return the id of several files' imports as one; a single file's is its own."""
    parts = list(ids.values())
    return parts[0] if len(parts) == 1 else fingerprint(parts=parts)


def _most(reasons: Counter[str]) -> str:
    return "; ".join(f"{rows(count)}: {reason}" for reason, count in reasons.most_common(3))

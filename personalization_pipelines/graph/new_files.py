"""Notices files of `content.sources` that are new or were changed, and has `content/items` import them.

A file may be looked at while it is still being copied: it counts once two looks in a row saw the same sizes and times.
What was asked for is remembered by those, so the same files ask once, also after a restart of the daemon. A run that
fails is not asked for again until the files change or the schedule comes: the same file would fail the same way.
"""

from collections.abc import Iterator

import dagster as dg
import msgspec

from personalization_pipelines.content.files.object_stores import StoredObject
from personalization_pipelines.content.files.read_files import expand_files
from personalization_pipelines.foundation.errors import StoreUnavailable
from personalization_pipelines.foundation.fingerprint import fingerprint
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.graph.parts import Installation, key, python_name
from personalization_pipelines.website import Website

SECONDS_BETWEEN_LOOKS = 30


class Looked(msgspec.Struct, frozen=True):
    """What the last look saw and what was asked for last, as fingerprints of the files."""

    seen: str = ""
    asked: str = ""


def build_sensors(website: Website, run_tags: dict[str, str]) -> list[dg.SensorDefinition]:
    """Return the sensor `<website>_files`; none for a website without `content.sources`."""
    if not website.content.sources:
        return []

    @dg.sensor(
        name=f"{python_name(website.name)}_files",
        asset_selection=[key(website, "content", "items")],
        minimum_interval_seconds=SECONDS_BETWEEN_LOOKS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Imports files of `content.sources` as they appear or change, once they are copied completely.",
    )
    def files(context: dg.SensorEvaluationContext, installation: Installation) -> dg.SensorResult:
        last = _looked(context.cursor)
        try:
            found = files_now(installation.home, website)
        except StoreUnavailable as error:
            return _waiting(str(error), last)
        state = fingerprint(files=found)
        if state == last.asked or not found:
            return _waiting("no file is new or changed" if found else "no file is there", Looked(state, last.asked))
        if state != last.seen:
            return _waiting("files have changed; waiting until they stay as they are", Looked(state, last.asked))
        request = dg.RunRequest(tags={**run_tags, "website": website.name})
        return dg.SensorResult(run_requests=[request], cursor=_cursor(Looked(state, state)))

    return [files]


def files_now(home: Home, website: Website) -> list[tuple[str, int, str]]:
    """Return name, bytes and version of every file that a content source names, sorted, each once.

    The version is the time of change (ns) of a file, and what the store says of an object (ETag, generation, time).
    """
    return sorted(set(_files(home, website)))


def _files(home: Home, website: Website) -> Iterator[tuple[str, int, str]]:
    for source in website.content.sources:
        for one in expand_files(home, source.files):
            if isinstance(one, StoredObject):
                yield one.address, one.bytes, one.version
                continue
            try:
                status = one.stat()
            except FileNotFoundError:
                continue  # it was there a moment ago; the next look sees what came of it
            yield str(one), status.st_size, str(status.st_mtime_ns)


def _waiting(why: str, looked: Looked) -> dg.SensorResult:
    return dg.SensorResult(skip_reason=why, cursor=_cursor(looked))


def _looked(cursor: str | None) -> Looked:
    """Return what the cursor holds; one that cannot be read (an older version's) is as good as none."""
    try:
        return msgspec.json.decode(cursor or "{}", type=Looked)
    except msgspec.DecodeError:
        return Looked()


def _cursor(looked: Looked) -> str:
    return msgspec.json.encode(looked).decode()

"""The answers of one model as named arrays and entries: the same in a model's own files and in a publication."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from numpy.typing import NDArray

from personalization_pipelines.foundation.errors import CorruptData
from personalization_pipelines.models.forms import form_of
from personalization_pipelines.models.forms.form import Arrays, Form


class PartEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One answer of a model: its key (`form.MAIN` or a variant's), the name of its form, and its texts."""

    key: str
    form: str
    texts: tuple[str, ...] = ()


def entries_of(parts: Mapping[str, Form]) -> tuple[PartEntry, ...]:
    """Return an entry for each answer, in their order."""
    return tuple(PartEntry(key, part.form, part.texts) for key, part in parts.items())


def arrays_of(parts: Mapping[str, Form]) -> Arrays:
    """Return the arrays of all answers under names of their own."""
    entries = entries_of(parts)
    whole: Arrays = {}
    for (number, entry), part in zip(enumerate(entries), parts.values(), strict=True):
        held = part.arrays()
        whole |= {_prefix(number, entry) + name: held[name] for name in type(part).schema}
    return whole


def schema_of(entries: Sequence[PartEntry]) -> dict[str, str]:
    """Return names and types of the arrays that answers of these entries have."""
    return {
        _prefix(number, entry) + name: dtype
        for number, entry in enumerate(entries)
        for name, dtype in _form(entry).schema.items()
    }


def parts_of(entries: Sequence[PartEntry], arrays: Mapping[str, NDArray[Any]]) -> dict[str, Form]:
    """Return the answers that entries and arrays describe, by key. Raises CorruptData for a form nobody knows."""
    return dict(_parts(entries, arrays))


def _parts(entries: Sequence[PartEntry], arrays: Mapping[str, NDArray[Any]]) -> Iterator[tuple[str, Form]]:
    for number, entry in enumerate(entries):
        form, prefix = _form(entry), _prefix(number, entry)
        yield entry.key, form.of(entry.texts, {name: arrays[prefix + name] for name in form.schema})


def _form(entry: PartEntry) -> type[Form]:
    try:
        return form_of(entry.form)
    except KeyError:
        raise CorruptData(f"there is no form of answer {entry.form!r} in this version") from None


def _prefix(number: int, entry: PartEntry) -> str:
    return f"{entry.form}{number or ''}_"

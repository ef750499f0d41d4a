"""How files of rows are written: one file a format, called what people call the format; others by entry point.

A package brings a format by the entry point group `personalization.file_formats`: the entry point has the format's name
and names a class derived from `row_format.RowFormat`. Names are known without loading a format: most who ask (the
website's file, the command line) read no file.
"""

from __future__ import annotations

import pkgutil
from importlib import metadata
from typing import TYPE_CHECKING, Literal

from personalization_pipelines.foundation.errors import ConfigurationError
from personalization_pipelines.foundation.registration import registered

if TYPE_CHECKING:
    from personalization_pipelines.content.files.formats.row_format import RowFormat

GROUP = "personalization.file_formats"
DocumentFormat = Literal["xml", "export"]
DOCUMENTS: tuple[DocumentFormat, ...] = ("xml", "export")
"""Formats of documents of items, which are no rows (`item_documents.py`)."""


def format_names() -> tuple[str, ...]:
    """Return what people call the formats of rows."""
    own = [one.name for one in pkgutil.iter_modules(__path__) if one.name != "row_format"]
    return (*own, *(point.name for point in metadata.entry_points(group=GROUP)))


def row_formats() -> dict[str, type[RowFormat]]:
    """Return every format of rows by its name. Raises ConfigurationError where names or suffixes are not its own."""
    from personalization_pipelines.content.files.formats.row_format import RowFormat

    found = registered(__name__, RowFormat, GROUP)
    if sorted(one.name for one in found) != sorted(set(format_names())):
        told = ", ".join(f"{one.name} ({one.__module__})" for one in found)
        raise ConfigurationError(
            f"file formats {told}: each is to be called like its file or entry point, and none like another; "
            "rename one, or uninstall its package"
        )
    return {one.name: one for one in found}


def format_of_suffix() -> dict[str, type[RowFormat]]:
    """Return the format by how a file's name ends. Raises ConfigurationError where two formats want one suffix."""
    found: dict[str, type[RowFormat]] = {}
    for one in row_formats().values():
        for suffix in one.suffixes:
            if suffix in found:
                raise ConfigurationError(
                    f"names that end in {suffix} are of the file formats {found[suffix].name} and {one.name}; "
                    "uninstall the package of one"
                )
            found[suffix] = one
    return found

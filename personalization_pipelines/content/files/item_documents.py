"""Files that hold items as documents: XML as the content API takes it, and the JSON that a CMS exports.

They stand beside `SourceFile` (columns that a mapping gives a meaning): a document says itself what its parts mean, so
no mapping applies. Both end as the same rows of the catalogue.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from personalization_pipelines.content.catalogue.item_tables import item_tables
from personalization_pipelines.content.exports.read_export import read_export_rows
from personalization_pipelines.content.files.formats import DOCUMENTS, DocumentFormat
from personalization_pipelines.content.files.read_files import FileFormat, suffix
from personalization_pipelines.content.files.verdicts import Reject
from personalization_pipelines.content.xml.xml_grammar import XmlItem
from personalization_pipelines.content.xml.xml_items import read_xml_items
from personalization_pipelines.foundation.errors import ImportRefused
from personalization_pipelines.website import Website

_SUFFIXES: dict[str, DocumentFormat] = {".xml": "xml", ".export": "export", ".json": "export"}


def document_format(path: Path, told: FileFormat | None) -> DocumentFormat | None:
    """Return the format of a document of items, by what the caller says or the file's name; None for other files."""
    return next((one for one in DOCUMENTS if one == told), None) if told else _SUFFIXES.get(suffix(path))


@dataclass(frozen=True)
class ItemDocument:
    """One document to import. XML is good or bad as a whole; of an export single objects may be rejected."""

    path: Path
    format: DocumentFormat
    website: Website

    def tables(self, reject: Callable[[Reject], None]) -> Iterator[pa.Table]:
        """Yield the items as rows of the catalogue (without `first_seen`), some thousands at a time, in their order.

        Raises ImportRefused where the document turns out to be broken: nothing of it is of use then.
        """
        try:
            with pa.input_stream(str(self.path), compression="detect") as stream:
                yield from item_tables(self._items(stream, reject))
        except ImportRefused as error:
            raise ImportRefused(f"{self.path}: {error}; nothing was imported") from None
        except (pa.ArrowException, OSError) as error:
            reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
            raise ImportRefused(f"{self.path}: cannot be read as {self.format} ({reason})") from None

    def _items(self, stream: pa.NativeFile, reject: Callable[[Reject], None]) -> Iterator[XmlItem]:
        if self.format == "xml":
            yield from read_xml_items(stream, self.website)
            return
        for row in read_export_rows(stream, self.website):
            if isinstance(row, Reject):
                reject(row)
            else:
                yield row

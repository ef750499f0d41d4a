"""Where an installation keeps its state, and its secret key."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from personalization_pipelines.foundation.errors import ConfigurationError
from personalization_pipelines.foundation.identifiers import parse_website_name

KEY_BYTES = 32


@dataclass(frozen=True)
class Home:
    """One installation: `PERSONALIZATION_HOME` and, optionally, the database that replaces SQLite."""

    root: Path
    database: str = ""

    @classmethod
    def from_environment(cls) -> Home:
        """Return the home that `PERSONALIZATION_HOME` and `PERSONALIZATION_DATABASE` name."""
        root = Path(os.environ.get("PERSONALIZATION_HOME") or ".personalization")
        return cls(root.absolute(), os.environ.get("PERSONALIZATION_DATABASE", ""))

    @property
    def websites(self) -> Path:
        """The directory of the websites' YAML files."""
        return self.root / "websites"

    @property
    def log(self) -> Path:
        """The event log's segments, of all websites."""
        return self.root / "log"

    @property
    def day_keys(self) -> Path:
        """Keys that are kept for a day: under them sources of events of nobody are told apart."""
        return self.root / "day-keys"

    @property
    def live_database(self) -> str:
        """The live store's SQLAlchemy URL."""
        return self.database or f"sqlite:///{self.root / 'live.db'}"

    @property
    def dagster(self) -> Path:
        """Dagster's own storage (`DAGSTER_HOME`)."""
        return self.root / "dagster"

    def lake(self, website: str) -> Path:
        """One website's Parquet: `events/`, `items/`, `users/`, `features/`."""
        return self.root / "lake" / parse_website_name(website)

    def models(self, website: str) -> Path:
        """One website's model builds, a directory a model."""
        return self.root / "models" / parse_website_name(website)

    def publications(self, website: str) -> Path:
        """One website's publications and the `CURRENT` pointer."""
        return self.root / "publications" / parse_website_name(website)

    @cached_property
    def key(self) -> bytes:
        """The installation key under which visitor ids are pseudonymised (32 bytes, file mode 0600).

        Raises ConfigurationError where `personalization init` has not created it yet, because a key
        made up on the way would silently split every visitor in two.
        """
        path = self.root / "key"
        try:
            key = bytes.fromhex(path.read_text(encoding="ascii").strip())
        except FileNotFoundError:
            raise ConfigurationError(f"{path}: no installation key; run `personalization init` once") from None
        except ValueError:
            raise ConfigurationError(f"{path}: the key is not hex any more; put it back from a backup") from None
        if len(key) != KEY_BYTES:
            raise ConfigurationError(f"{path}: expected {KEY_BYTES} bytes in hex, found {len(key)}")
        return key

    def create(self) -> bool:
        """Make the home's directories and its key; keep an existing key. True if the key is new."""
        for directory in (self.root, self.websites, self.log, self.dagster):
            directory.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(self.root / "key", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return False
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(KEY_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        return True

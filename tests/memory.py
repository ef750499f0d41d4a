"""Where tests write: into memory, where it has room, for there a sync costs nothing and thousands are made."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

ROOM = 4 << 30


def temporary_root() -> str:
    """Return the directory for what tests write: PYTEST_DEBUG_TEMPROOT, memory, or the system's."""
    if given := os.environ.get("PYTEST_DEBUG_TEMPROOT"):
        return given
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free >= ROOM
    return str(memory) if roomy else tempfile.gettempdir()

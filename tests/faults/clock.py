"""A wall clock that jumps, for whole processes: a few lines of C, preloaded (after libfaketime)."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("clock_shift.c")


class Clock:
    """The wall clock of every process that is started with `environment`; `set` moves it at once."""

    def __init__(self, directory: Path) -> None:
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            pytest.skip("no C compiler is installed: a process's clock can not be moved")
        library, self._shift = directory / "clock_shift.so", directory / "clock_shift"
        command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE), "-ldl"]
        built = subprocess.run(command, capture_output=True, text=True)
        if built.returncode:
            pytest.skip(f"the C compiler does not compile here: {built.stderr.strip()[-200:]}")
        self._shift.write_bytes(struct.pack("<q", 0))
        self.environment = {"LD_PRELOAD": str(library), "CLOCK_SHIFT": str(self._shift)}

    def set(self, seconds: int) -> None:
        """Move the clock to so many seconds ahead of the real one (negative: behind)."""
        with self._shift.open("r+b") as file:  # the same file, for it is mapped
            file.write(struct.pack("<q", seconds))

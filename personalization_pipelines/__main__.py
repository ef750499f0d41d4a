"""The process of the `personalization` command, and of `python -m personalization_pipelines`."""

from __future__ import annotations

import atexit
import logging
import os
import sys

from personalization_pipelines.cli import main


def run() -> None:
    """Run the command and end the process at once.

    Everything is written and closed by then; taking down an interpreter that has Dagster and DuckDB loaded,
    object by object, would cost up to a second more.
    """
    status = _status()
    atexit._run_exitfuncs()  # what was promised for the end still happens
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _status() -> int:
    try:
        main()
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    run()

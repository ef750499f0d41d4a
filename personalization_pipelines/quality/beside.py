"""One process beside a build, for the libraries that take seconds to load: Great Expectations and matplotlib.

They load while the build reads and computes, on the second core, and a build that ends need not unload them.
The process lives as long as the one that started it: when its input ends, it ends. Calls are answered in order,
one at a time; functions are named, not sent, so only what this package defines at the top of a module can be called.
"""

from __future__ import annotations

import atexit
import importlib
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, TypeVar

from personalization_pipelines.foundation.errors import TransientError
from personalization_pipelines.foundation.loading import collector_at_rest

PREPARED = ("personalization_pipelines.quality.expectations", "personalization_pipelines.graph.plots")
"""Modules whose `prepare` loads what takes long. Who only calls waits for no more than what the call needs."""

_START = "from personalization_pipelines.quality.beside import answer_calls; answer_calls()"
_PACKAGE_PARENT = str(Path(__file__).parents[2])


T = TypeVar("T")


class Beside:
    """A process that is started when it is first needed, and again where it was killed."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._turn = threading.Lock()

    def start(self) -> None:
        """Start the process, unless it runs, and let it load the libraries; returns at once."""
        with self._turn:
            self._running(*PREPARED)

    def call(self, function: Callable[..., T], *arguments: object) -> T:
        """Return `function(*arguments)` as computed beside; raises what it raised.

        Raises TransientError where the process died (out of memory, killed): a later call starts another.
        """
        with self._turn:
            process = self._running()
            try:
                pickle.dump((function, arguments), _stream(process.stdin))
                _stream(process.stdin).flush()
                done, result = pickle.load(_stream(process.stdout))  # noqa: S301 - our own process wrote it
            except (EOFError, BrokenPipeError) as error:
                what = f"ended with status {self._end()} while it ran {function.__name__}"
                raise TransientError(f"the process beside this one {what}; run again") from error
        if not done:
            raise result
        value: T = result
        return value

    def stop(self) -> None:
        """End the process, if there is one."""
        with self._turn:
            self._end()

    def _end(self) -> int | None:
        """End the process and return its status."""
        process, self._process = self._process, None
        if process is None:
            return None
        with suppress(BrokenPipeError):  # it died before it read the last call
            _stream(process.stdin).close()
        _stream(process.stdout).close()
        process.kill()
        return process.wait()

    def _running(self, *prepared: str) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._end()
            paths = [_PACKAGE_PARENT, *filter(None, [os.environ.get("PYTHONPATH")])]
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _START, *prepared],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            )
        return self._process


def answer_calls() -> None:
    """Answer calls from standard input until it ends; what libraries print goes to standard error."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the build; its end is this process's end
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with collector_at_rest():
        for name in sys.argv[1:]:
            importlib.import_module(name).prepare()
    while True:
        try:
            function, arguments = pickle.load(sys.stdin.buffer)  # noqa: S301 - the parent wrote it
        except EOFError:
            os._exit(0)  # nothing is open here that would have to be closed
        answers.write(_answer(function, arguments))
        answers.flush()


def _answer(function: Callable[..., object], arguments: tuple[Any, ...]) -> bytes:
    try:
        return pickle.dumps((True, function(*arguments)))
    except Exception as error:  # noqa: BLE001 - it is raised again where the call was made
        return _failed(error)


def _failed(error: Exception) -> bytes:
    """Return a failure that can be raised elsewhere: itself, or its text where it does not survive pickling."""
    try:
        sent = pickle.dumps((False, error))
        pickle.loads(sent)  # noqa: S301 - just made
    except Exception:  # noqa: BLE001 - whatever a library's exception does when it is copied
        return pickle.dumps((False, RuntimeError(f"{type(error).__name__}: {error}")))
    return sent


def _stream(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None  # noqa: S101 - both are pipes
    return stream


beside = Beside()
"""The one process beside this one."""
atexit.register(beside.stop)

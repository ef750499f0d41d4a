"""The server process: granian with its workers, and the follower beside them; all end together.

Threads of a worker, measured on one core beside a loaded one: at 16 connections 2 to 8 threads answer 2,600
recommendations a second and 32 answer 2,000 (they wake each other in turns); at 32 connections 4 threads
acknowledge 3,300 events a second, 8 do 4,450 and 32 do 3,400 (one sync acknowledges all that wait for it).
"""

from __future__ import annotations

import gc
import logging
import multiprocessing.util
import os
import resource
from functools import partial
from typing import Any

from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

from personalization_pipelines.events.log.event_log import repair
from personalization_pipelines.foundation.errors import ConfigurationError
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.foundation.ports import require_port
from serving.follower_process import FollowerProcess
from serving.http.client_address import TRUSTED_PROXIES, trusted_proxies
from serving.http.front import Front
from serving.lifetime import end_with

THREADS = 8
STOP_SECONDS = 3
HEADER_SECONDS = 10
MAX_HEADER_BYTES = 64 * 1024
CONNECTIONS = 4096
"""Open connections of a worker, also those that send nothing (they are closed after `HEADER_SECONDS`). One costs a
descriptor and, while its headers arrive, at most `MAX_HEADER_BYTES`; who comes when all are taken waits."""
OTHER_FILES = 512
"""Descriptors of a worker that are no connections: segments, publications, the live store."""

_log = logging.getLogger(__name__)


def serve(home: Home, *, host: str = "127.0.0.1", port: int = 8080, workers: int = 1, shop: str | None = None) -> None:
    """Serve a home until SIGTERM or SIGINT; everything it started has ended when it returns (5 seconds at most).

    Raises ConfigurationError where the port is taken or the home has no key.
    """
    _log_to_stderr()
    _require(home, host, port)
    for found in repair(home.log):
        _log.warning("%s", found)
    server = Granian(
        "serving",
        address=host,
        port=port,
        interface=Interfaces.RSGI,
        workers=workers,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_SECONDS * 1000, max_buffer_size=MAX_HEADER_BYTES),
        websockets=False,
        backpressure=_connections(),
        log_access=False,
        log_level=LogLevels.error,
        respawn_failed_workers=True,
        workers_kill_timeout=STOP_SECONDS,
    )
    follower = FollowerProcess(home)
    server.on_startup(follower.start)
    server.on_shutdown(follower.stop)
    _log.warning("serving on http://%s:%d (%d %s)", host, port, workers, "worker" if workers == 1 else "workers")
    try:
        server.serve(target_loader=partial(load_app, home, shop, os.getpid()), wrap_loader=False)
    finally:
        follower.stop()


def load_app(home: Home, shop: str | None, parent: int) -> Any:
    """Make the application inside a worker process, which ends with the process `parent`."""
    end_with(parent)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # nothing here multiplies matrices
    from serving.app import create_app

    app = create_app(home, shop=shop)
    services: Any = app.extensions["personalization"]
    multiprocessing.util.Finalize(None, services.log.close, exitpriority=10)
    gc.freeze()  # what was imported stays: the collector need not look at it again
    return Front(app.wsgi_app, THREADS, services.metrics.answered)


def _connections() -> int:
    """Allow this process and its workers as many open files as they may have; return how many may be connections."""
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS + OTHER_FILES
    if 0 <= allowed < wanted:
        allowed = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, most))
    return CONNECTIONS if allowed < 0 else max(1, min(CONNECTIONS, allowed - OTHER_FILES))


def _require(home: Home, host: str, port: int) -> None:
    """Raise ConfigurationError with a sentence where the server could not start."""
    trusted_proxies(os.environ.get(TRUSTED_PROXIES, ""))
    if len(home.key) and not home.log.is_dir():
        raise ConfigurationError(f"{home.log}: no event log; run `personalization init` once")
    require_port(host, port)


def _log_to_stderr() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")

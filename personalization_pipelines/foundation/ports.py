"""Whether a server can listen where it is told to, asked before anything is started."""

from __future__ import annotations

import socket

from personalization_pipelines.foundation.errors import ConfigurationError

PORTS_TRIED = 50


def require_port(host: str, port: int, option: str = "--port") -> None:
    """Raise ConfigurationError where nobody can listen at host and port; name a free port where there is one near."""
    problem = _problem(host, port)
    if problem:
        free = next(
            (near for near in range(port + 1, min(port + PORTS_TRIED, 65535)) if not _problem(host, near)), None
        )
        other = f"{option} {free} is free" if free else f"choose another {option}"
        raise ConfigurationError(f"{host}:{port} cannot be served on ({problem}); {other}, or stop what uses it")


def _problem(host: str, port: int) -> str:
    """Return why nobody can listen there, "" where that is possible."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            # Servers bind with SO_REUSEPORT and would share the port with another one without a word.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return error.strerror or "it does not answer"
    except ValueError:  # a NUL byte, or a label that no name has
        return "that is no name of a host"
    return ""

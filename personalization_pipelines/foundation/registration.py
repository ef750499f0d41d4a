"""Finds what is added by adding a file: the classes of one kind in a package, and in other packages by entry point."""

from __future__ import annotations

import inspect
import pkgutil
from functools import cache
from importlib import import_module, metadata
from typing import Any

from personalization_pipelines.foundation.errors import ConfigurationError


@cache
def registered(package: str, kind: type[Any], group: str | None = None) -> tuple[type[Any], ...]:
    """Return the concrete classes of `kind` that the modules of `package` define, in order of module and line.

    With `group`, those that other installed packages name under this group of entry points come after them. Raises
    ConfigurationError, naming the entry point, for one that can not be loaded or is no class of the kind.
    """
    folder = import_module(package)
    modules = [import_module(f"{package}.{one.name}") for one in pkgutil.iter_modules(folder.__path__)]
    own = [found for module in modules for found in vars(module).values() if _is_one(found, kind, module.__name__)]
    points = metadata.entry_points(group=group) if group else ()
    return (*own, *(_load(point, kind) for point in points))


def _is_one(found: object, kind: type[Any], module: str) -> bool:
    return (
        isinstance(found, type)
        and issubclass(found, kind)
        and found is not kind
        and found.__module__ == module
        and not inspect.isabstract(found)
    )


def _load(point: metadata.EntryPoint, kind: type[Any]) -> type[Any]:
    where = f"entry point {point.name!r} = {point.value!r} of the group {point.group!r}"
    try:
        found = point.load()
    except Exception as error:  # a stranger's module may raise anything
        raise ConfigurationError(f"{where}: can not be loaded ({type(error).__name__}: {error})") from error
    if not (isinstance(found, type) and issubclass(found, kind)):
        raise ConfigurationError(f"{where}: is no class derived from {kind.__module__}.{kind.__name__}")
    return found

"""What a client sends where a variable of it holds nothing: such a parameter counts as not given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

UNSET = frozenset({"", "undefined", "null", "NaN"})
"""As JavaScript writes them, exactly: `nan` in lower case is a language."""


def without_unset(parameters: Mapping[str, Sequence[str]]) -> Mapping[str, Sequence[str]]:
    """Return the parameters that say something, the same mapping where all do."""
    for values in parameters.values():
        if not UNSET.isdisjoint(values):
            break
    else:
        return parameters
    told = {name: [value for value in values if value not in UNSET] for name, values in parameters.items()}
    return {name: values for name, values in told.items() if values}

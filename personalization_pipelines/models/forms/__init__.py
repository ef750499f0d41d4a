"""What kinds of answer there are: one file a form, found by its name, and how a form's lists are scored.

Another package brings a form by the entry point group `personalization.forms`, and what reads it on the server by
`personalization.candidates`.
"""

from __future__ import annotations

from personalization_pipelines.foundation.registration import registered
from personalization_pipelines.models.forms.form import Form

PACKAGE = "personalization_pipelines.models.forms"
GROUP = "personalization.forms"


def form_of(name: str) -> type[Form]:
    """Return the form of this name (KeyError where there is none)."""
    return _forms()[name]


def _forms() -> dict[str, type[Form]]:
    return {one.form: one for one in registered(PACKAGE, Form, GROUP)}

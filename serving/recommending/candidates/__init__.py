"""What models say to a question: one file a form of answer, found by the form."""

from __future__ import annotations

from functools import cache

from personalization_pipelines.foundation.registration import registered
from personalization_pipelines.publications.read.published import PublishedModel
from serving.recommending.candidates.asking import Asking, Candidates

PACKAGE = "serving.recommending.candidates"
GROUP = "personalization.candidates"


def candidates(model: PublishedModel, asking: Asking) -> Candidates | None:
    """Return what a model says to a question, None where it can not be asked."""
    return _readers()[model.answer.form].ask(model, asking)


@cache
def _readers() -> dict[str, type[Candidates]]:
    return {one.form.form: one for one in registered(PACKAGE, Candidates, GROUP)}

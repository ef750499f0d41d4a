"""The contract of a model type: what it is given, what it returns.

A model type is one class that meets `Learner`: made from the website's parameters, it turns `TrainingData`
into `Learned`. Saving, evaluating and publishing are the same for all of them and live elsewhere.
"""

from __future__ import annotations

from typing import Protocol

from personalization_pipelines.models.forms.form import Learned
from personalization_pipelines.models.matrices.training_data import TrainingData


class Learner(Protocol):
    """One model type with its parameters."""

    version: int
    """Raised with every change of the code that changes what is learned; part of the fingerprint."""

    features: tuple[str, ...]
    """Names of the feature tables that this type reads."""

    events: tuple[str, ...]
    """Event types that this type learns from."""

    hourly: bool
    """True: what is learned depends on the hour of `as_of`; False: on its day only."""

    def learn(self, data: TrainingData) -> Learned:
        """Return what the model knows as of `data.day`.

        The same data gives the same bytes. Lists hold only allowed rows, scores above 0, best first,
        ties in order of the row; nobody's repetition within a day counts twice. No data: empty lists.
        """
        ...

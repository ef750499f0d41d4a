"""Which model types there are: one file each below `models.types`, and those that other packages bring.

A package brings a type by the entry point group `personalization.models`, naming a class derived from
`models.parameters.Model` that meets the same contract as those here (see `models.learner`). The website's file is
read with all types, so no module of a type may import `personalization_pipelines.website`; what it may know of its
website is `parameters.KnownWebsite`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from personalization_pipelines.foundation.errors import ConfigurationError, NotBuiltYet
from personalization_pipelines.foundation.registration import registered
from personalization_pipelines.models.parameters import KnownWebsite, Later, Learning, Model

if TYPE_CHECKING:
    from personalization_pipelines.models.learner import Learner

TYPES = "personalization_pipelines.models.types"
GROUP = "personalization.models"


def parameter_classes() -> tuple[type[Model], ...]:
    """Return the class of parameters of every model type. Raises ConfigurationError where two have one name."""
    found = tuple(one for one in registered(TYPES, Model, GROUP) if one is not Learning)
    names: dict[str, type[Model]] = {}
    for one in found:
        for name in type_names(one):
            if name in names:
                raise ConfigurationError(
                    f"the model type {name!r} is brought by {names[name].__module__} and by {one.__module__}; "
                    "rename one, or uninstall its package"
                )
            names[name] = one
    return found


def type_names(parameters: type[Model]) -> tuple[str, ...]:
    """Return the names by which the website's file calls a class of parameters."""
    return get_args(parameters.model_fields["type"].annotation)


def built_types() -> tuple[str, ...]:
    """Return the names of all model types that can be built."""
    return tuple(name for one in parameter_classes() for name in type_names(one))


LATER_TYPES: tuple[str, ...] = get_args(Later.model_fields["type"].annotation)


def learner(model: Model, website: KnownWebsite) -> Learner:
    """Return what learns this model; NotBuiltYet for a type or an option that does not exist yet."""
    for option in ("submodels", "segments", "time_slots"):
        if getattr(model, option):
            raise NotBuiltYet(f"{model.type}: `{option}` is not built yet; remove it from the model")
    return model.learner(website)

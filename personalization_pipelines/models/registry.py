"""Which class learns which model type."""

from __future__ import annotations

from personalization_pipelines.foundation.errors import NotBuiltYet
from personalization_pipelines.models.learner import Learner
from personalization_pipelines.models.matrices.neighbours import AlsoDidLearner
from personalization_pipelines.models.types.editorial import BlacklistLearner, EditorialLearner
from personalization_pipelines.models.types.item_knn import ItemKnnLearner
from personalization_pipelines.models.types.popularity import PopularityLearner
from personalization_pipelines.models.types.recently_added import RecentlyAddedLearner
from personalization_pipelines.website import Website
from personalization_pipelines.website.model_parameters import (
    AlsoDid,
    AnyModel,
    Blacklist,
    Editorial,
    ItemKnn,
    Later,
    Popularity,
    RecentlyAdded,
)


def learner(model: AnyModel, website: Website) -> Learner:
    """Return what learns this model; NotBuiltYet for a type or an option that does not exist yet."""
    for option in ("submodels", "segments", "time_slots"):
        if getattr(model, option):
            raise NotBuiltYet(f"{model.type}: `{option}` is not built yet; remove it from the model")
    match model:
        case Popularity():
            return PopularityLearner(model)
        case AlsoDid():
            return AlsoDidLearner(model)
        case ItemKnn():
            return ItemKnnLearner(model)
        case RecentlyAdded():
            return RecentlyAddedLearner(model)
        case Editorial():
            return EditorialLearner(model, website)
        case Blacklist():
            return BlacklistLearner(model, website)
        case Later():
            raise NotBuiltYet(f"the model type `{model.type}` is not built yet")

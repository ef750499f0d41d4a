-- The catalogue as it stood at the build's logical time: one row per item and language.
-- Validity is kept, not applied: whether an item may be shown is decided for the moment of the request.
select
    item_type,
    item,
    price_minor,
    currency,
    valid_from,
    valid_to,
    coalesce(categories, cast([] as varchar[])) as categories,
    language,
    base_item,
    first_seen,
    attributes
from lake_items
order by item_type, item, language

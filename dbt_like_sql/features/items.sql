-- The items this website can recommend, one row each. The order of this table numbers the rows of every model.
-- Where a catalogue exists, only its items count (an item sold out of it is gone). Where a website imports
-- none, every item seen in events is taken (event_items).
with first_languages as (
    -- Several languages of an item are one item. The website's first language speaks for it, else what is written for
    -- any language, else its first one; what the others say is in item_languages. Keys alone are grouped: a window over
    -- whole rows holds all of them in memory at once, which is too much from a million items on.
    select
        stg_items.item_type,
        stg_items.item,
        coalesce(
            max(case when stg_items.language = build.first_language then stg_items.language end),
            min(stg_items.language)
        ) as language
    from stg_items
    cross join build
    group by stg_items.item_type, stg_items.item
),
universe as (
    select
        stg_items.item_type,
        stg_items.item,
        stg_items.price_minor,
        stg_items.currency,
        stg_items.valid_from,
        stg_items.valid_to,
        stg_items.categories,
        stg_items.language,
        stg_items.base_item,
        stg_items.first_seen,
        stg_items.attributes
    from stg_items
    inner join first_languages
        on first_languages.item_type = stg_items.item_type
            and first_languages.item = stg_items.item
            and first_languages.language = stg_items.language
    union all
    select
        item_type,
        item,
        cast(null as bigint) as price_minor,
        '' as currency,
        cast(null as timestamp) as valid_from,
        cast(null as timestamp) as valid_to,
        cast([] as varchar[]) as categories,
        '' as language,
        '' as base_item,
        first_seen,
        '{}' as attributes
    from event_items
)
select
    item_type,
    item,
    price_minor,
    currency,
    valid_from,
    valid_to,
    categories,
    language,
    base_item,
    first_seen,
    attributes
from universe
order by item_type, item

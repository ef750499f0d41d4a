-- The items this website can recommend, one row each. The order of this table numbers the rows of every model.
-- Where a catalogue exists, only its items count (an item sold out of it is gone). Where a website imports
-- none, every item seen in events is taken, so that a website that only tracks gets recommendations too.
with catalogue as (
    select
        stg_items.*,
        -- Several languages of an item are one item. The website's first language speaks for it, else what is
        -- written for any language, else its first one; what the others say is in item_languages.
        row_number() over (
            partition by stg_items.item_type, stg_items.item
            order by case when stg_items.language = build.first_language then 0 else 1 end, stg_items.language
        ) as language_number
    from stg_items
    cross join build
),
seen as (
    select
        item_type,
        item,
        min(time) as first_seen
    from stg_events
    where item <> ''
        and not exists (select 1 from stg_items)
    group by item_type, item
),
universe as (
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
    from catalogue
    where language_number = 1
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
    from seen
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

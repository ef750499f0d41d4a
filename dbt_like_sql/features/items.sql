-- The items this website can recommend, one row each. The order of this table numbers the rows of every model.
-- Where a catalogue exists, only its items count (an item sold out of it is gone). Where a website imports
-- none, every item seen in events is taken, so that a website that only tracks gets recommendations too.
with catalogue as (
    select
        stg_items.*,
        -- Several languages of an item are one item; its first language speaks for it.
        row_number() over (partition by item_type, item order by language) as language_number
    from stg_items
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
    base_item,
    first_seen,
    attributes
from universe
order by item_type, item

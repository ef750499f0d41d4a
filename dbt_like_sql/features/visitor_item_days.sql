-- What a visitor did with an item on a day: one row however often it happened, because one user's flood
-- must not make a list. Popularity, neighbours and histories all start from this table.
-- Rows without visitor ('') stand for as many users as they have events; they count for popularity only. So that no
-- flood of nobody makes a list either, what the tracker received of nobody is one event for each source of the day
-- (its origin, see personalization_pipelines/events/judging/origins.py), with the most pieces it sent at once; all whose
-- source is not known are one. Imports and signed events, which come from the website itself, count each.
-- Of what a visitor read or watched (consume), only the highest percentage of an item counts, on the days on which it
-- was reached: ten reports on the way through one film are one film. Without a percentage it was all of it.
with furthest as (
    select
        visitor,
        item_type,
        item,
        max(coalesce(percentage, 100)) as percentage
    from stg_events
    where event = 'consume'
        and visitor <> ''
        and item <> ''
    group by visitor, item_type, item
),
once as (
    select
        stg_events.event,
        stg_events.visitor,
        stg_events.item_type,
        stg_events.item,
        stg_events.day,
        coalesce(stg_events.quantity, 1) as quantity,
        stg_events.time as first_time,
        stg_events.time as last_time
    from stg_events
    left join furthest on stg_events.event = 'consume'
        and furthest.visitor = stg_events.visitor
        and furthest.item_type = stg_events.item_type
        and furthest.item = stg_events.item
    where stg_events.item <> ''
        and stg_events.event in ('click', 'consume', 'basket', 'wishlist', 'rate', 'buy')
        and coalesce(stg_events.percentage, 100) >= coalesce(furthest.percentage, 0)
        and (stg_events.visitor <> '' or not stg_events.tracked)
    union all
    select
        event,
        visitor,
        item_type,
        item,
        day,
        max(coalesce(quantity, 1)) as quantity,
        min(time) as first_time,
        max(time) as last_time
    from stg_events
    where item <> ''
        and event in ('click', 'consume', 'basket', 'wishlist', 'rate', 'buy')
        and visitor = ''
        and tracked
    group by event, visitor, item_type, item, day, origin
)
select
    event,
    visitor,
    item_type,
    item,
    day,
    cast(sum(quantity) as bigint) as quantity,
    count(*) as events,
    min(first_time) as first_time,
    max(last_time) as last_time
from once
group by event, visitor, item_type, item, day
order by event, visitor, item_type, item, day

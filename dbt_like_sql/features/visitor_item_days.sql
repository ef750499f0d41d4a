-- What a visitor did with an item on a day: one row however often it happened, because one user's flood
-- must not make a list. Popularity, neighbours and histories all start from this table.
-- Rows without visitor ('') stand for as many users as they have events; they count for popularity only.
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
)
select
    stg_events.event,
    stg_events.visitor,
    stg_events.item_type,
    stg_events.item,
    stg_events.day,
    cast(sum(coalesce(stg_events.quantity, 1)) as bigint) as quantity,
    count(*) as events,
    min(stg_events.time) as first_time,
    max(stg_events.time) as last_time
from stg_events
left join furthest on stg_events.event = 'consume'
    and furthest.visitor = stg_events.visitor
    and furthest.item_type = stg_events.item_type
    and furthest.item = stg_events.item
where stg_events.item <> ''
    and stg_events.event in ('click', 'consume', 'basket', 'wishlist', 'rate', 'buy')
    and coalesce(stg_events.percentage, 100) >= coalesce(furthest.percentage, 0)
group by stg_events.event, stg_events.visitor, stg_events.item_type, stg_events.item, stg_events.day
order by event, visitor, item_type, item, day

-- What a visitor did with an item on a day: one row however often it happened, because one user's flood
-- must not make a list. Popularity, neighbours and histories all start from this table.
-- Rows without visitor ('') stand for as many users as they have events; they count for popularity only.
select
    event,
    visitor,
    item_type,
    item,
    day,
    cast(sum(coalesce(quantity, 1)) as bigint) as quantity,
    count(*) as events,
    min(time) as first_time,
    max(time) as last_time
from stg_events
where item <> ''
    and event in ('click', 'consume', 'basket', 'wishlist', 'rate', 'buy')
group by event, visitor, item_type, item, day
order by event, visitor, item_type, item, day

-- How much of each item type is alive: items known, items with any event, items with one in the last 30 days.
-- A model can only ever recommend what has events; this says how large that share is.
with last_days as (
    select
        item_type,
        item,
        max(day) as last_day
    from visitor_item_days
    group by item_type, item
)
select
    items.item_type,
    count(*) as items,
    count(last_days.last_day) as with_events,
    count(case when last_days.last_day > cast(build.as_of_day - interval '30' day as date) then 1 end) as active
from items
cross join build
left join last_days on last_days.item_type = items.item_type and last_days.item = items.item
group by items.item_type
order by items.item_type

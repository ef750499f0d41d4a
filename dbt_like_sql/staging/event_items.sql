-- Items that only events tell of: a website that imports no catalogue gets recommendations of what it tracks. Where a
-- catalogue exists, there are none.
select
    item_type,
    item,
    min(time) as first_seen
from stg_events
where item <> ''
    and not exists (select 1 from stg_items)
group by item_type, item
order by item_type, item

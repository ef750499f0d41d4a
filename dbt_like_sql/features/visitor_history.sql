-- The 200 newest things each visitor did, newest first: what personal models and filters know of a visitor
-- at the build. A visitor who did the same with the same item again has it once, at its newest time, so
-- that one favourite does not push everything else out of the 200.
select
    visitor,
    item_type,
    item,
    event,
    time
from (
    select
        visitor,
        item_type,
        item,
        event,
        last_time as time,
        row_number() over (partition by visitor order by last_time desc, item_type, item, event) as position
    from visitor_items
) as ranked
where position <= 200
order by visitor, time desc, item_type, item, event

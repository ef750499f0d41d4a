-- What a visitor ever did with an item: the matrix that neighbour models learn from.
select
    event,
    visitor,
    item_type,
    item,
    count(*) as days,
    cast(sum(quantity) as bigint) as quantity,
    min(first_time) as first_time,
    max(last_time) as last_time
from visitor_item_days
where visitor <> ''
group by event, visitor, item_type, item
order by event, visitor, item_type, item

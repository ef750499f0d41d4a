-- How many visitors an item had on a day, by event: the daily curve of each item.
-- An event of nobody counts as a visitor of its own; how many people stood behind them is unknown.
select
    event,
    item_type,
    item,
    day,
    cast(sum(case when visitor = '' then events else 1 end) as bigint) as visitors,
    cast(sum(quantity) as bigint) as quantity
from visitor_item_days
group by event, item_type, item, day
order by event, item_type, item, day

-- How much of each event arrived per day: what the gate on missing data and the plots look at.
-- Deliveries (rendered) and accepted recommendations are counted here too, unlike in the features.
select
    day,
    event,
    count(*) as events,
    count(distinct case when visitor <> '' then visitor end) as visitors
from stg_events
group by day, event
order by day, event

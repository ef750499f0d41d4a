-- How much of each event arrived per day: what the gate on missing data and the plots look at.
-- Deliveries (rendered) and accepted recommendations are counted here too, unlike in the features; those that no
-- link of ours reported are also counted apart: they must not be taken for what recommendations earned.
select
    day,
    event,
    count(*) as events,
    count(distinct case when visitor <> '' then visitor end) as visitors,
    count(case when not verified then 1 end) as unverified
from stg_events
group by day, event
order by day, event

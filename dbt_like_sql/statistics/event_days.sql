-- How much of each event arrived per day: what the gate on missing data and the plots look at. The gate asks what
-- the tracker received as it happened: an imported year says nothing about what yesterday should have brought.
-- Deliveries (rendered) and accepted recommendations are counted here too, unlike in the features; those that no
-- link of ours reported are also counted apart: they must not be taken for what recommendations earned.
select
    day,
    event,
    count(*) as events,
    count(distinct case when visitor <> '' then visitor end) as visitors,
    count(case when not verified then 1 end) as unverified,
    count(case when tracked then 1 end) as tracked
from stg_events
group by day, event
order by day, event

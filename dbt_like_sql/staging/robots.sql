-- What robots did, by day (UTC) and visitor: stg_events leaves it out, so no model and no statistic counts it.
-- user_agent: the tracker marked the event. rate: in one minute the visitor called more often than the website
-- allows; then all that the tracker received of this visitor on that day goes, for a robot that slows down after
-- its first minute is still one. Calls are counted, not events: one call may report many deliveries, and one batch
-- a day's events. Deliveries, bought and owned items do not count: a page and an order have many of them.
-- Only what the tracker received as it happened (time = received_at) is looked at: imports and signed events of
-- the past come from the website itself, and an order of 300 lines in one second is no robot.
with tracked as (
    select
        lake_events.visitor,
        lake_events.time,
        cast(lake_events.time as date) as utc_day,
        lake_events.event in ('rendered', 'buy', 'owns') as many_at_once,
        coalesce(lake_events.is_bot, false) as is_bot
    from lake_events
    cross join build
    where lake_events.time = lake_events.received_at
        and lake_events.time <= build.as_of
),
busy_days as (
    select distinct
        busy_minutes.visitor,
        busy_minutes.utc_day
    from (
        select
            tracked.visitor,
            tracked.utc_day,
            count(distinct tracked.time) as calls
        from tracked
        where tracked.visitor <> ''
            and not tracked.many_at_once
            and not tracked.is_bot
        group by tracked.visitor, tracked.utc_day, date_trunc('minute', tracked.time)
    ) as busy_minutes
    cross join build
    where busy_minutes.calls > build.max_events_per_minute
)
select
    tracked.utc_day,
    'user_agent' as rule,
    tracked.visitor,
    count(*) as events
from tracked
where tracked.is_bot
group by tracked.utc_day, tracked.visitor
union all
select
    tracked.utc_day,
    'rate' as rule,
    tracked.visitor,
    count(*) as events
from tracked
inner join busy_days on busy_days.visitor = tracked.visitor and busy_days.utc_day = tracked.utc_day
where not tracked.is_bot
group by tracked.utc_day, tracked.visitor
order by utc_day, rule, visitor

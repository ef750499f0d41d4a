-- Whose events a login gave to whom: events of `source` after `after` and up to `time` are
-- also read by `target` (visitor_history.sql), and where `is_owner` they count as the target's (stg_events.sql).
-- Each login of the lake stands here once, at its own time, with the reason where it is ignored; what an earlier
-- login gave and a later one carried on (a to b, then b to c) stands behind it with further hops.
-- The rules are those of personalization_pipelines/events/live/logins.py, which the live store follows at once: of a
-- target's sources of one day (UTC) the first five count; an undone pair never does; a login moves what its source
-- has got since its login before; an event is carried on at most five times and never to somebody who had it.
-- A robot's login, known by its user agent, moves nothing and takes none of the five places.
with recursive told as (
    select
        lake_events.event,
        lake_events.source_visitor as source,
        lake_events.visitor as target,
        lake_events.time,
        min(case when lake_events.is_bot then 1 else 0 end) as by_robot
    from lake_events
    cross join build
    where lake_events.event in ('login', 'undologin')
        and lake_events.source_visitor <> ''
        and lake_events.visitor <> ''
        and lake_events.time <= build.as_of
    group by lake_events.event, lake_events.source_visitor, lake_events.visitor, lake_events.time
),
sources as (
    select
        source,
        target,
        day,
        row_number() over (partition by target, day order by first_time, source) as place
    from (
        select
            source,
            target,
            cast(time as date) as day,
            min(time) as first_time
        from told
        where event = 'login'
            and by_robot = 0
        group by source, target, cast(time as date)
    ) as days
),
undone as (
    select distinct
        source,
        target
    from told
    where event = 'undologin'
),
judged as (
    select
        told.source,
        told.target,
        told.time,
        case
            when told.by_robot = 1 then 'robot'
            when undone.source is not null then 'undone'
            when sources.place > 5 then 'sixth source of the day'
            else ''
        end as ignored
    from told
    left join sources on sources.source = told.source
        and sources.target = told.target
        and sources.day = cast(told.time as date)
    left join undone on undone.source = told.source and undone.target = told.target
    where told.event = 'login'
),
moves as (
    select
        source,
        target,
        time,
        -- No event is from before 1970. A null here would cost every event a slower join.
        coalesce(lag(time) over (partition by source order by time, target), cast('1969-12-31' as timestamp)) as after
    from judged
    where ignored = ''
),
ways as (
    select
        source,
        after,
        time,
        target,
        time as arrived,
        1 as hop,
        cast('/' || source || '/' || target || '/' as varchar) as way
    from moves
    union
    select
        ways.source,
        ways.after,
        ways.time,
        moves.target,
        moves.time as arrived,
        ways.hop + 1 as hop,
        cast(ways.way || moves.target || '/' as varchar) as way
    from ways
    inner join moves on moves.source = ways.target
        and moves.time >= ways.arrived
        and moves.after < ways.arrived
    where ways.hop < 5
        and ways.after < ways.time
        and strpos(ways.way, '/' || moves.target || '/') = 0
),
ends as (
    select
        source,
        time,
        max(hop) as hop
    from ways
    where after < time
    group by source, time
)
select
    ways.source,
    ways.time,
    ways.target,
    cast(ways.hop as integer) as hop,
    ways.after,
    ends.hop is not null as is_owner,
    '' as ignored
from ways
left join ends on ends.source = ways.source
    and ends.time = ways.time
    and ends.hop = ways.hop
    and ways.after < ways.time
union all
select
    judged.source,
    judged.time,
    judged.target,
    0 as hop,
    judged.time as after,
    false as is_owner,
    judged.ignored
from judged
where judged.ignored <> ''
order by source, time, target, hop

-- Events as everything downstream may count them: none from after the build's logical time, none twice, none of
-- robots (see robots.sql), each with its day in the website's time zone, and each belonging to one visitor: to whom
-- its visitor has logged in since (see visitor_logins.sql). What was done with an item that was transferred, before
-- and after, was done with its new one (see item_transfers.sql).
-- The lake holds each record once. A client that was unsure whether its call arrived sends it again under
-- the same event_id: the earliest copy counts, per visitor, because ids are only unique within a client. The event
-- ids of an order's lines ('~order-…') hold for a day only, of which the lake has taken one already.
-- Only what some table below reads is carried: each column costs a tenth of a second for a million events.
-- Only records that carry an event_id are numbered: most do not, and a window over all events costs a sort.
with repeats as (
    select copies.record_id
    from (
        select
            lake_events.record_id,
            row_number() over (
                partition by lake_events.visitor, lake_events.event_id order by lake_events.time, lake_events.record_id
            ) as copy
        from lake_events
        cross join build
        where lake_events.event_id <> ''
            and lake_events.event_id not like '~order-%'
            and lake_events.time <= build.as_of
    ) as copies
    where copies.copy > 1
)
select
    lake_events.record_id,
    lake_events.time,
    -- A UTC day sees at most one change of the clock; counting it by hand keeps the file free of time zone
    -- functions, which no two engines agree on.
    cast(lake_events.time + case
        when lake_events.time < utc_days.changes_at then utc_days.seconds_before
        else utc_days.seconds_after
    end * interval '1' second as date) as day,
    lake_events.event,
    coalesce(owners.target, lake_events.visitor) as visitor,
    coalesce(item_transfers.target_type, lake_events.item_type) as item_type,
    coalesce(item_transfers.target, lake_events.item) as item,
    lake_events.quantity,
    lake_events.percentage,
    lake_events.verified,
    -- As it happened, not imported and not signed for later: only of that can a day be missing.
    lake_events.time = lake_events.received_at as tracked,
    case when owners.target is null then '' else lake_events.visitor end as source_visitor,
    coalesce(lake_events.origin, '') as origin
from lake_events
cross join build
inner join utc_days on utc_days.utc_day = cast(lake_events.time as date)
left join repeats on repeats.record_id = lake_events.record_id
left join robots on robots.rule = 'rate'
    and robots.visitor = lake_events.visitor
    and robots.utc_day = cast(lake_events.time as date)
    and lake_events.time = lake_events.received_at
left join visitor_logins as owners on owners.is_owner
    and owners.source = lake_events.visitor
    and owners.time >= lake_events.time
    and owners.after < lake_events.time
left join item_transfers on item_transfers.source_type = lake_events.item_type
    and item_transfers.source = lake_events.item
where repeats.record_id is null
    and robots.rule is null
    and not coalesce(lake_events.is_bot, false)
    and lake_events.time <= build.as_of
    and lake_events.event not in ('', 'undologin')
    and lake_events.item_type >= 0
    and coalesce(lake_events.quantity, 1) > 0
    and coalesce(lake_events.price_minor, 0) >= 0
order by lake_events.time, lake_events.record_id

-- Events as everything downstream may count them: none from after the build's logical time, none twice,
-- each with its day in the website's time zone.
-- The lake holds each record once. A client that was unsure whether its call arrived sends it again under
-- the same event_id: the earliest copy counts, per visitor, because ids are only unique within a client.
with accepted as (
    select
        lake_events.*,
        cast(lake_events.time as date) as utc_day
    from lake_events
    cross join build
    where lake_events.time <= build.as_of
        and lake_events.event <> ''
        and lake_events.item_type >= 0
        and coalesce(lake_events.quantity, 1) > 0
        and coalesce(lake_events.price_minor, 0) >= 0
),
-- Only records that carry an event_id are numbered: most do not, and a window over all events costs a sort.
repeats as (
    select copies.record_id
    from (
        select
            record_id,
            row_number() over (partition by visitor, event_id order by time, record_id) as copy
        from accepted
        where event_id <> ''
    ) as copies
    where copies.copy > 1
)
select
    accepted.record_id,
    accepted.time,
    -- A UTC day sees at most one change of the clock; counting it by hand keeps the file free of time zone
    -- functions, which no two engines agree on.
    cast(accepted.time + case
        when accepted.time < utc_days.changes_at then utc_days.seconds_before
        else utc_days.seconds_after
    end * interval '1' second as date) as day,
    accepted.event,
    accepted.visitor,
    accepted.item_type,
    accepted.item,
    accepted.quantity,
    accepted.price_minor,
    accepted.currency,
    accepted.rating,
    accepted.percentage,
    accepted.categories,
    accepted.segments,
    accepted.order_id,
    accepted.session,
    accepted.scenario,
    accepted.model
from accepted
inner join utc_days on utc_days.utc_day = accepted.utc_day
left join repeats on repeats.record_id = accepted.record_id
where repeats.record_id is null
order by accepted.time, accepted.record_id

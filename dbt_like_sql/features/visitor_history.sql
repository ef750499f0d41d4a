-- What each visitor did, newest first: what personal models and filters know of a visitor at the build.
-- A visitor who did the same with the same item again has it once, at its newest time, so that one favourite
-- does not push everything else out. The 200 newest things tell what a visitor likes; what keeps an item out
-- of the answers (bought, owned, consumed, blacklisted) has to be complete, so of those the 5000 newest stay.
-- What was given on by a login is also in the history of who did it: nobody's history can be emptied by a stranger.
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
        time,
        row_number() over (partition by visitor order by time desc, item_type, item, event) as position
    from (
        select
            visitor,
            item_type,
            item,
            event,
            max(time) as time
        from (
            select
                case when source_visitor = '' then visitor else source_visitor end as visitor,
                item_type,
                item,
                event,
                time
            from stg_events
            union all
            select
                visitor_logins.target as visitor,
                stg_events.item_type,
                stg_events.item,
                stg_events.event,
                stg_events.time
            from stg_events
            inner join visitor_logins on visitor_logins.source = stg_events.source_visitor
                and visitor_logins.time >= stg_events.time
                and visitor_logins.after < stg_events.time
        ) as read_by
        where visitor <> ''
            and item <> ''
            and event in (
                'click', 'consume', 'basket', 'wishlist', 'rate', 'buy', 'owns', 'deletefrombasket',
                'deletefromwishlist', 'blacklist'
            )
        group by visitor, item_type, item, event
    ) as newest
) as ranked
where position <= 200
    or (event in ('buy', 'owns', 'consume', 'blacklist') and position <= 5000)
order by visitor, time desc, item_type, item, event

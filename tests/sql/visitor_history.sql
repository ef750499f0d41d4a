-- case: newest first, and the same thing done again stands once, at its newest time
insert into lake_events (record_id, time, event, visitor, item) values
    ('a', '2026-03-01 10:00', 'click', 'ann', '7'),
    ('b', '2026-03-01 11:00', 'click', 'ann', '8'),
    ('c', '2026-03-02 09:00', 'click', 'ann', '7'),
    ('d', '2026-03-02 08:00', 'buy', 'ann', '8'),
    ('e', '2026-03-02 10:00', 'click', 'bob', '8'),
    ('f', '2026-03-02 10:00', 'click', '', '8');
select visitor, item, event, time from visitor_history;
values
    ('ann', '7', 'click', '2026-03-02 09:00:00'),
    ('ann', '8', 'buy', '2026-03-02 08:00:00'),
    ('ann', '8', 'click', '2026-03-01 11:00:00'),
    ('bob', '8', 'click', '2026-03-02 10:00:00');

-- case: of 250 things the newest 200 stay
insert into lake_events (record_id, time, visitor, item)
select cast(n as varchar), timestamp '2026-03-01 00:00:00' + n * interval '1' minute, 'ann', cast(n as varchar)
from generate_series(1, 250) as numbers (n);
select count(*), min(cast(item as integer)), max(cast(item as integer)) from visitor_history;
values (200, 51, 250);

-- case: what keeps an item out of the answers stays, however much was looked at since
insert into lake_events (record_id, time, event, visitor, item) values
    ('x', '2026-02-01 10:00', 'buy', 'ann', '1001'),
    ('y', '2026-02-01 10:00', 'click', 'ann', '1002'),
    ('z', '2026-02-01 10:00', 'blacklist', 'ann', '1003');
insert into lake_events (record_id, time, visitor, item)
select cast(n as varchar), timestamp '2026-03-01 00:00:00' + n * interval '1' minute, 'ann', cast(n as varchar)
from generate_series(1, 250) as numbers (n);
select event, count(*), max(cast(item as integer)) from visitor_history group by event order by event;
values ('blacklist', 1, 1003), ('buy', 1, 1001), ('click', 200, 250);

-- case: what a login gave on is in the history of all it reached, and in that of who did it
insert into lake_events (record_id, time, event, source_visitor, visitor, item) values
    ('1', '2026-03-01 10:00', 'click', '', 'anon', '7'),
    ('2', '2026-03-01 11:00', 'login', 'anon', 'ann', ''),
    ('3', '2026-03-01 12:00', 'login', 'ann', 'account', ''),
    ('4', '2026-03-01 13:00', 'buy', '', 'account', '8');
select visitor, item, event, time from visitor_history;
values
    ('account', '8', 'buy', '2026-03-01 13:00:00'),
    ('account', '7', 'click', '2026-03-01 10:00:00'),
    ('ann', '7', 'click', '2026-03-01 10:00:00'),
    ('anon', '7', 'click', '2026-03-01 10:00:00');

-- case: a call repeated under the same event_id counts once, at its earliest time, for its visitor alone
insert into lake_events (record_id, time, visitor, event_id) values
    ('late', '2026-03-01 10:05', 'ann', 'e1'),
    ('early', '2026-03-01 10:00', 'ann', 'e1'),
    ('bob', '2026-03-01 10:01', 'bob', 'e1');
select record_id, visitor from stg_events;
values ('early', 'ann'), ('bob', 'bob');

-- case: a line of an order counts as often as the lake took it, which is once a day
insert into lake_events (record_id, time, event_id) values
    ('monday', '2026-03-02 10:00', '~order-1'),
    ('friday', '2026-03-06 10:00', '~order-1');
select record_id from stg_events;
values ('monday'), ('friday');

-- case: events without an event_id are never taken for repeats
insert into lake_events (record_id, time, visitor) values
    ('a', '2026-03-01 10:00', 'ann'),
    ('b', '2026-03-01 10:00', 'ann');
select record_id from stg_events;
values ('a'), ('b');

-- case: what happens after the logical time does not exist, even as the first copy of a repeat
insert into build (as_of, as_of_day, time_zone) values ('2026-03-01 12:00', '2026-03-01', 'UTC');
insert into lake_events (record_id, time, event_id) values
    ('before', '2026-03-01 11:59', ''),
    ('at', '2026-03-01 12:00', 'e1'),
    ('after', '2026-03-01 12:01', 'e1');
select record_id from stg_events;
values ('before'), ('at');

-- case: the day turns at midnight of the website's zone, before and after the clock is put forward
-- (Berlin: 01:00 UTC on 29 March 2026; midnight is 23:00 UTC before and 22:00 UTC after)
insert into build (as_of, as_of_day, time_zone) values ('2026-04-01 00:00', '2026-04-01', 'Europe/Berlin');
insert into lake_events (record_id, time) values
    ('a', '2026-03-28 22:59:59'),
    ('b', '2026-03-28 23:00:00'),
    ('c', '2026-03-29 21:59:59'),
    ('d', '2026-03-29 22:00:00');
select record_id, day from stg_events;
values ('a', '2026-03-28'), ('b', '2026-03-29'), ('c', '2026-03-29'), ('d', '2026-03-30');

-- case: a zone with an odd offset, and one west of Greenwich that is still in yesterday
insert into build (as_of, as_of_day, time_zone) values ('2026-04-01 00:00', '2026-04-01', 'Asia/Kathmandu');
insert into lake_events (record_id, time) values ('a', '2026-03-01 18:14:59'), ('b', '2026-03-01 18:15:00');
select record_id, day from stg_events;
values ('a', '2026-03-01'), ('b', '2026-03-02');

-- case: west of Greenwich an early morning in UTC is still yesterday
insert into build (as_of, as_of_day, time_zone) values ('2026-02-01 00:00', '2026-02-01', 'America/Los_Angeles');
insert into lake_events (record_id, time) values ('a', '2026-01-10 07:59:59'), ('b', '2026-01-10 08:00:00');
select record_id, day from stg_events;
values ('a', '2026-01-09'), ('b', '2026-01-10');

-- case: a quantity or price that cannot be is not counted; absent ones are fine
insert into lake_events (record_id, time, quantity, price_minor) values
    ('returned', '2026-03-01 10:00', -1, 100),
    ('nothing', '2026-03-01 10:01', 0, 100),
    ('owed', '2026-03-01 10:02', 1, -5),
    ('free', '2026-03-01 10:03', 1, 0),
    ('unknown', '2026-03-01 10:04', null, null);
select record_id from stg_events;
values ('free'), ('unknown');

-- case: rows stand in order of time, then of record
insert into lake_events (record_id, time) values
    ('c', '2026-03-01 10:00'),
    ('b', '2026-03-01 11:00'),
    ('a', '2026-03-01 10:00');
select record_id from stg_events;
values ('a'), ('c'), ('b');

-- case: of robots nothing counts: neither what the tracker marked, nor the day of a visitor who was too fast
insert into build (as_of, as_of_day, time_zone, max_events_per_minute) values ('2026-12-31 00:00', '2026-12-31', 'UTC', 1);
insert into lake_events (record_id, received_at, time, visitor, is_bot) values
    ('import-x:1', '2026-03-02 00:00', '2026-03-01 11:00:00', 'fast', null),
    ('a', '2026-03-01 09:00:00', '2026-03-01 09:00:00', 'fast', null),
    ('b', '2026-03-01 10:00:01', '2026-03-01 10:00:01', 'fast', null),
    ('c', '2026-03-01 10:00:02', '2026-03-01 10:00:02', 'fast', null),
    ('d', '2026-03-02 10:00:00', '2026-03-02 10:00:00', 'fast', null),
    ('e', '2026-03-01 10:00:03', '2026-03-01 10:00:03', 'marked', true),
    ('f', '2026-03-01 10:00:03', '2026-03-01 10:00:03', 'ann', false);
select record_id from stg_events;
values ('f'), ('import-x:1'), ('d');

-- case: what a link of ours reported is told from what anybody may have said
insert into lake_events (record_id, time, event, verified, percentage) values
    ('a', '2026-03-01 10:00', 'clickrecommended', true, null),
    ('b', '2026-03-01 10:01', 'clickrecommended', false, null),
    ('c', '2026-03-01 10:02', 'consume', null, 80);
select record_id, verified, percentage from stg_events;
values ('a', True, null), ('b', False, null), ('c', null, 80);

-- case: what was done before a login is the account's, once, and what is done after it stays with who did it
insert into lake_events (record_id, time, event, source_visitor, visitor) values
    ('1', '2026-03-01 10:00', 'click', '', 'anon'),
    ('2', '2026-03-01 11:00', 'login', 'anon', 'ann'),
    ('3', '2026-03-01 12:00', 'click', '', 'anon'),
    ('4', '2026-03-01 13:00', 'login', 'anon', 'bob'),
    ('5', '2026-03-01 14:00', 'undologin', 'anon', 'bob');
select record_id, event, visitor, source_visitor from stg_events;
values ('1', 'click', 'ann', 'anon'), ('2', 'login', 'ann', ''), ('3', 'click', 'anon', ''), ('4', 'login', 'bob', '');

-- case: what was done with a transferred item was done with its new one, before and after the transfer
insert into lake_transfers (position, source_type, source, target_type, target, time) values
    (1, 1, '1', 1, '2', '2026-02-01 00:00'), (2, 1, '2', 2, '7', '2026-02-02 00:00');
insert into lake_events (record_id, time, visitor, item_type, item) values
    ('a', '2026-01-01 10:00', 'ann', 1, '1'),
    ('b', '2026-03-01 10:00', 'bob', 1, '1'),
    ('c', '2026-03-01 11:00', 'bob', 1, '2'),
    ('d', '2026-03-01 12:00', 'bob', 2, '1'),
    ('e', '2026-03-01 13:00', 'bob', 1, '3');
select record_id, item_type, item from stg_events;
values ('a', 2, '7'), ('b', 2, '7'), ('c', 2, '7'), ('d', 2, '1'), ('e', 1, '3');

-- case: each login gives what its source has got since its login before, to whom it logs in
insert into lake_events (record_id, time, event, source_visitor, visitor) values
    ('a', '2026-03-01 10:00', 'login', 'anon', 'ann'),
    ('b', '2026-03-02 10:00', 'login', 'anon', 'bob'),
    ('again', '2026-03-02 10:00', 'login', 'anon', 'bob');
select source, time, target, hop, is_owner, after, ignored from visitor_logins;
values
    ('anon', '2026-03-01 10:00:00', 'ann', 1, True, '1969-12-31 00:00:00', ''),
    ('anon', '2026-03-02 10:00:00', 'bob', 1, True, '2026-03-01 10:00:00', '');

-- case: a chain of logins carries on what was there by then, and the last one owns it
insert into lake_events (record_id, time, event, source_visitor, visitor) values
    ('a', '2026-03-01 10:00', 'login', 'anon', 'ann'),
    ('b', '2026-03-01 11:00', 'login', 'ann', 'account'),
    ('c', '2026-03-01 12:00', 'login', 'anon', 'ann');
select source, time, target, hop, is_owner from visitor_logins;
values
    ('ann', '2026-03-01 11:00:00', 'account', 1, True),
    ('anon', '2026-03-01 10:00:00', 'account', 2, True),
    ('anon', '2026-03-01 10:00:00', 'ann', 1, False),
    ('anon', '2026-03-01 12:00:00', 'ann', 1, True);

-- case: a circle ends where somebody would get again what he had
insert into lake_events (record_id, time, event, source_visitor, visitor) values
    ('a', '2026-03-01 10:00', 'login', 'one', 'two'),
    ('b', '2026-03-01 11:00', 'login', 'two', 'one'),
    ('c', '2026-03-01 12:00', 'login', 'one', 'two');
select source, time, target, hop, is_owner from visitor_logins;
values
    ('one', '2026-03-01 10:00:00', 'two', 1, True),
    ('one', '2026-03-01 12:00:00', 'two', 1, True),
    ('two', '2026-03-01 11:00:00', 'one', 1, True);

-- case: nothing is carried on more than five times
insert into lake_events (record_id, time, event, source_visitor, visitor)
select cast(n as varchar), timestamp '2026-03-01 00:00:00' + n * interval '1' minute, 'login',
    cast(n as varchar), cast(n + 1 as varchar)
from generate_series(1, 8) as numbers (n);
select target, hop, is_owner from visitor_logins where source = '1';
values ('2', 1, False), ('3', 2, False), ('4', 3, False), ('5', 4, False), ('6', 5, True);

-- case: of a target's sources of one day (UTC) the first five count, all day long; a sixth counts the day after
insert into lake_events (record_id, time, event, source_visitor, visitor)
select cast(n as varchar), timestamp '2026-03-01 22:00:00' + n * interval '1' minute, 'login',
    cast(n as varchar), 'ann'
from generate_series(1, 7) as numbers (n);
insert into lake_events (record_id, time, event, source_visitor, visitor) values
    ('late', '2026-03-01 23:59', 'login', '1', 'ann'),
    ('next day', '2026-03-02 00:00', 'login', '7', 'ann');
select source, time, hop, ignored from visitor_logins where source in ('1', '5', '6', '7');
values
    ('1', '2026-03-01 22:01:00', 1, ''),
    ('1', '2026-03-01 23:59:00', 1, ''),
    ('5', '2026-03-01 22:05:00', 1, ''),
    ('6', '2026-03-01 22:06:00', 0, 'sixth source of the day'),
    ('7', '2026-03-01 22:07:00', 0, 'sixth source of the day'),
    ('7', '2026-03-02 00:00:00', 1, '');

-- case: a pair that was undone counts neither before nor after, and keeps its place among the five
insert into lake_events (record_id, time, event, source_visitor, visitor) values
    ('a', '2026-03-01 10:00', 'login', 'anon', 'ann'),
    ('undone', '2026-03-01 11:00', 'undologin', 'anon', 'ann'),
    ('b', '2026-03-01 12:00', 'login', 'anon', 'ann'),
    ('c', '2026-03-01 13:00', 'login', 'anon', 'bob');
select time, target, hop, after, ignored from visitor_logins;
values
    ('2026-03-01 10:00:00', 'ann', 0, '2026-03-01 10:00:00', 'undone'),
    ('2026-03-01 12:00:00', 'ann', 0, '2026-03-01 12:00:00', 'undone'),
    ('2026-03-01 13:00:00', 'bob', 1, '1969-12-31 00:00:00', '');

-- case: what happens after the logical time does not exist: neither logins nor their undoing
insert into build (as_of, as_of_day, time_zone) values ('2026-03-01 12:00', '2026-03-01', 'UTC');
insert into lake_events (record_id, time, event, source_visitor, visitor, is_bot) values
    ('a', '2026-03-01 10:00', 'login', 'anon', 'ann', null),
    ('undone', '2026-03-01 12:01', 'undologin', 'anon', 'ann', false),
    ('b', '2026-03-01 12:01', 'login', 'anon', 'bob', false);
select source, time, target, ignored from visitor_logins;
values ('anon', '2026-03-01 10:00:00', 'ann', '');

-- case: a robot's login is listed, moves nothing and takes no place among the five of the day
insert into lake_events (record_id, time, event, source_visitor, visitor, is_bot) values
    ('r', '2026-03-01 09:00', 'login', 'robot', 'ann', true),
    ('1', '2026-03-01 10:01', 'login', 'a1', 'ann', false),
    ('2', '2026-03-01 10:02', 'login', 'a2', 'ann', null),
    ('3', '2026-03-01 10:03', 'login', 'a3', 'ann', false),
    ('4', '2026-03-01 10:04', 'login', 'a4', 'ann', false),
    ('5', '2026-03-01 10:05', 'login', 'a5', 'ann', false),
    ('6', '2026-03-01 10:06', 'login', 'a5', 'ann', true);
select source, time, hop, is_owner, ignored from visitor_logins;
values
    ('a1', '2026-03-01 10:01:00', 1, True, ''),
    ('a2', '2026-03-01 10:02:00', 1, True, ''),
    ('a3', '2026-03-01 10:03:00', 1, True, ''),
    ('a4', '2026-03-01 10:04:00', 1, True, ''),
    ('a5', '2026-03-01 10:05:00', 1, True, ''),
    ('a5', '2026-03-01 10:06:00', 0, False, 'robot'),
    ('robot', '2026-03-01 09:00:00', 0, False, 'robot');

-- case: what the tracker marked as a robot's is counted by day and visitor, of nobody too
insert into lake_events (record_id, received_at, time, visitor, is_bot) values
    ('a', '2026-03-01 10:00', '2026-03-01 10:00', 'bot', true),
    ('b', '2026-03-01 23:59:59', '2026-03-01 23:59:59', 'bot', true),
    ('c', '2026-03-02 00:00', '2026-03-02 00:00', 'bot', true),
    ('d', '2026-03-01 11:00', '2026-03-01 11:00', '', true),
    ('e', '2026-03-01 12:00', '2026-03-01 12:00', 'ann', false),
    ('f', '2026-03-01 12:01', '2026-03-01 12:01', 'ann', null);
select utc_day, rule, visitor, events from robots;
values ('2026-03-01', 'user_agent', '', 1), ('2026-03-01', 'user_agent', 'bot', 2), ('2026-03-02', 'user_agent', 'bot', 1);

-- case: more calls in a minute than allowed take the visitor's whole day (UTC), and no other day or visitor
insert into build (as_of, as_of_day, time_zone, max_events_per_minute) values ('2026-12-31 00:00', '2026-12-31', 'UTC', 2);
insert into lake_events (record_id, received_at, time, visitor) values
    ('a', '2026-03-01 08:00', '2026-03-01 08:00', 'fast'),
    ('b', '2026-03-01 10:00:00', '2026-03-01 10:00:00', 'fast'),
    ('c', '2026-03-01 10:00:30', '2026-03-01 10:00:30', 'fast'),
    ('d', '2026-03-01 10:00:59.999', '2026-03-01 10:00:59.999', 'fast'),
    ('e', '2026-03-02 10:00', '2026-03-02 10:00', 'fast'),
    ('f', '2026-03-01 10:00:58', '2026-03-01 10:00:58', 'slow'),
    ('g', '2026-03-01 10:00:59', '2026-03-01 10:00:59', 'slow'),
    ('h', '2026-03-01 10:01:00', '2026-03-01 10:01:00', 'slow');
select utc_day, rule, visitor, events from robots;
values ('2026-03-01', 'rate', 'fast', 4);

-- case: one call of many events, deliveries, orders, nobody and marked events do not count towards the rate
insert into build (as_of, as_of_day, time_zone, max_events_per_minute) values ('2026-12-31 00:00', '2026-12-31', 'UTC', 2);
insert into lake_events (record_id, received_at, time, visitor, event, is_bot) values
    ('a', '2026-03-01 10:00:00', '2026-03-01 10:00:00', 'batch', 'click', null),
    ('b', '2026-03-01 10:00:00', '2026-03-01 10:00:00', 'batch', 'click', null),
    ('c', '2026-03-01 10:00:00', '2026-03-01 10:00:00', 'batch', 'click', null),
    ('d', '2026-03-01 10:00:01', '2026-03-01 10:00:01', 'order', 'buy', null),
    ('e', '2026-03-01 10:00:02', '2026-03-01 10:00:02', 'order', 'buy', null),
    ('f', '2026-03-01 10:00:03', '2026-03-01 10:00:03', 'order', 'owns', null),
    ('g', '2026-03-01 10:00:01', '2026-03-01 10:00:01', 'page', 'rendered', null),
    ('h', '2026-03-01 10:00:02', '2026-03-01 10:00:02', 'page', 'rendered', null),
    ('i', '2026-03-01 10:00:03', '2026-03-01 10:00:03', 'page', 'rendered', null),
    ('j', '2026-03-01 10:00:01', '2026-03-01 10:00:01', '', 'click', null),
    ('k', '2026-03-01 10:00:02', '2026-03-01 10:00:02', '', 'click', null),
    ('l', '2026-03-01 10:00:03', '2026-03-01 10:00:03', '', 'click', null),
    ('m', '2026-03-01 10:00:01', '2026-03-01 10:00:01', 'mixed', 'click', null),
    ('n', '2026-03-01 10:00:02', '2026-03-01 10:00:02', 'mixed', 'click', null),
    ('o', '2026-03-01 10:00:03', '2026-03-01 10:00:03', 'mixed', 'click', true);
select rule, visitor, events from robots;
values ('user_agent', 'mixed', 1);

-- case: imported and signed events of the past make no robot, and do not go with one
insert into build (as_of, as_of_day, time_zone, max_events_per_minute) values ('2026-12-31 00:00', '2026-12-31', 'UTC', 1);
insert into lake_events (record_id, received_at, time, visitor, event) values
    ('import-x:1', '2026-03-02 00:00', '2026-03-01 10:00:01', 'ann', 'click'),
    ('import-x:2', '2026-03-02 00:00', '2026-03-01 10:00:02', 'ann', 'click'),
    ('import-x:3', '2026-03-02 00:00', '2026-03-01 10:00:03', 'bob', 'click'),
    ('a', '2026-03-01 10:00:04', '2026-03-01 10:00:04', 'bob', 'click'),
    ('b', '2026-03-01 10:00:05', '2026-03-01 10:00:05', 'bob', 'click');
select rule, visitor, events from robots;
values ('rate', 'bob', 2);

-- case: without a limit nobody is too fast, and what happens after the logical time tells nothing
insert into build (as_of, as_of_day, time_zone, max_events_per_minute) values ('2026-03-01 10:00:02', '2026-03-01', 'UTC', null);
insert into lake_events (record_id, received_at, time, is_bot) values
    ('a', '2026-03-01 10:00:01', '2026-03-01 10:00:01', null),
    ('b', '2026-03-01 10:00:02', '2026-03-01 10:00:02', null),
    ('c', '2026-03-01 10:00:03', '2026-03-01 10:00:03', true);
select rule, visitor, events from robots;
values ;

-- case: every kind of event counts, with its known visitors
insert into lake_events (record_id, time, event, visitor, item) values
    ('a', '2026-03-01 10:00', 'click', 'ann', '7'),
    ('b', '2026-03-01 11:00', 'click', 'ann', '8'),
    ('c', '2026-03-01 11:00', 'click', '', '8'),
    ('d', '2026-03-01 11:00', 'rendered', '', ''),
    ('e', '2026-03-02 11:00', 'click', 'bob', '8');
select day, event, events, visitors from event_days;
values ('2026-03-01', 'click', 3, 1), ('2026-03-01', 'rendered', 1, 0), ('2026-03-02', 'click', 1, 1);

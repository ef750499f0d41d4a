-- case: items with events, and with one in the 30 days that end with the build's day
insert into build (as_of, as_of_day, time_zone) values ('2026-03-31 12:00', '2026-03-31', 'UTC');
insert into lake_items (item_type, item) values (1, '1'), (1, '2'), (1, '3'), (2, '1');
insert into lake_events (record_id, time, item) values
    ('a', '2026-03-01 00:00', '1'),
    ('b', '2026-03-02 00:00', '2'),
    ('c', '2026-03-02 00:00', '99');
select item_type, items, with_events, active from active_items;
values (1, 3, 2, 1), (2, 1, 0, 0);

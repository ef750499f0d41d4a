-- case: without a catalogue, items are what events tell of, each since its first event
insert into lake_events (record_id, time, item_type, item) values
    ('a', '2026-03-02 10:00', 1, '99'),
    ('b', '2026-03-01 10:00', 1, '99'),
    ('c', '2026-03-01 10:00', 2, '5'),
    ('d', '2026-03-01 10:00', 0, '');
select item_type, item, first_seen from event_items;
values (1, '99', '2026-03-01 10:00:00'), (2, '5', '2026-03-01 10:00:00');

-- case: with a catalogue, no item is there because of an event
insert into lake_items (item) values ('7');
insert into lake_events (record_id, time, item) values ('a', '2026-03-01 10:00', '99');
select count(*) from event_items;
values (0);

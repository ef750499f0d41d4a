-- case: a flood on one day is one row, with its pieces, its events and its first and last time
insert into lake_events (record_id, time, event, visitor, item, quantity) values
    ('a', '2026-03-01 10:00', 'buy', 'ann', '7', 2),
    ('b', '2026-03-01 12:00', 'buy', 'ann', '7', null),
    ('c', '2026-03-01 11:00', 'buy', 'ann', '7', 3),
    ('d', '2026-03-02 10:00', 'buy', 'ann', '7', 1);
select visitor, item, day, quantity, events, first_time, last_time from visitor_item_days;
values
    ('ann', '7', '2026-03-01', 6, 3, '2026-03-01 10:00:00', '2026-03-01 12:00:00'),
    ('ann', '7', '2026-03-02', 1, 1, '2026-03-02 10:00:00', '2026-03-02 10:00:00');

-- case: nobody's events stay, visits to no item and deliveries go
insert into lake_events (record_id, time, event, visitor, item) values
    ('a', '2026-03-01 10:00', 'click', '', '7'),
    ('b', '2026-03-01 10:00', 'click', '', '7'),
    ('c', '2026-03-01 10:00', 'click', 'ann', ''),
    ('d', '2026-03-01 10:00', 'rendered', 'ann', '7');
select event, visitor, item, events from visitor_item_days;
values ('click', '', '7', 2);

-- case: of what a visitor watched only the highest percentage of an item counts, on the days it was reached
insert into lake_events (record_id, time, event, visitor, item, percentage) values
    ('a', '2026-03-01 10:00', 'consume', 'ann', '7', 20),
    ('b', '2026-03-02 10:00', 'consume', 'ann', '7', 80),
    ('c', '2026-03-02 11:00', 'consume', 'ann', '7', 80),
    ('d', '2026-03-03 10:00', 'consume', 'ann', '7', 60),
    ('e', '2026-03-01 10:00', 'consume', 'bob', '7', 0),
    ('f', '2026-03-01 10:00', 'consume', 'ann', '8', 90),
    ('g', '2026-03-04 10:00', 'consume', 'ann', '8', null),
    ('h', '2026-03-05 10:00', 'consume', 'ann', '8', null),
    ('i', '2026-03-01 10:00', 'consume', '', '7', 10),
    ('j', '2026-03-01 11:00', 'click', 'ann', '7', null);
select visitor, item, day, events from visitor_item_days where event = 'consume';
values ('', '7', '2026-03-01', 1), ('ann', '7', '2026-03-02', 2), ('ann', '8', '2026-03-04', 1), ('ann', '8', '2026-03-05', 1), ('bob', '7', '2026-03-01', 1);

-- case: of nobody a source counts once per item and day, with the most pieces it sent at once
insert into lake_events (record_id, received_at, time, event, visitor, item, quantity, origin) values
    ('a', '2026-03-01 10:00', '2026-03-01 10:00', 'buy', '', '7', 2, 'here'),
    ('b', '2026-03-01 11:00', '2026-03-01 11:00', 'buy', '', '7', 5, 'here'),
    ('c', '2026-03-01 12:00', '2026-03-01 12:00', 'buy', '', '7', null, 'there'),
    ('d', '2026-03-02 10:00', '2026-03-02 10:00', 'buy', '', '7', 1, 'here'),
    ('e', '2026-03-01 13:00', '2026-03-01 13:00', 'buy', 'ann', '7', 1, ''),
    ('f', '2026-03-01 13:30', '2026-03-01 13:30', 'buy', 'ann', '7', 1, '');
select visitor, day, quantity, events, first_time, last_time from visitor_item_days;
values
    ('', '2026-03-01', 6, 2, '2026-03-01 10:00:00', '2026-03-01 12:00:00'),
    ('', '2026-03-02', 1, 1, '2026-03-02 10:00:00', '2026-03-02 10:00:00'),
    ('ann', '2026-03-01', 2, 2, '2026-03-01 13:00:00', '2026-03-01 13:30:00');

-- case: what the tracker received of nobody before sources were told apart is of one source; imports count each
insert into lake_events (record_id, received_at, time, visitor, item, origin) values
    ('a', '2026-03-01 10:00', '2026-03-01 10:00', '', '7', null),
    ('b', '2026-03-01 11:00', '2026-03-01 11:00', '', '7', ''),
    ('c', '2026-03-05 11:00', '2026-03-02 11:00', '', '7', null),
    ('d', '2026-03-05 11:00', '2026-03-02 11:00', '', '7', null);
select day, events from visitor_item_days;
values ('2026-03-01', 1), ('2026-03-02', 2);

-- case: days add up, nobody is left out, and each event has its own row
insert into lake_events (record_id, time, event, visitor, item, quantity) values
    ('a', '2026-03-01 10:00', 'click', 'ann', '7', null),
    ('b', '2026-03-01 11:00', 'click', 'ann', '7', null),
    ('c', '2026-03-03 09:00', 'click', 'ann', '7', null),
    ('d', '2026-03-03 09:05', 'buy', 'ann', '7', 4),
    ('e', '2026-03-03 09:05', 'buy', '', '7', 1);
select event, visitor, item, days, quantity, first_time, last_time from visitor_items;
values
    ('buy', 'ann', '7', 1, 4, '2026-03-03 09:05:00', '2026-03-03 09:05:00'),
    ('click', 'ann', '7', 2, 3, '2026-03-01 10:00:00', '2026-03-03 09:00:00');

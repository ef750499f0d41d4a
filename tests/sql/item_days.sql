-- case: visitors count once a day; an event of nobody counts as a visitor of its own
insert into lake_events (record_id, time, visitor, item, quantity) values
    ('a', '2026-03-01 10:00', 'ann', '7', 2),
    ('b', '2026-03-01 11:00', 'ann', '7', 1),
    ('c', '2026-03-01 11:00', 'bob', '7', 1),
    ('d', '2026-03-01 11:00', '', '7', 1),
    ('e', '2026-03-01 12:00', '', '7', 1),
    ('f', '2026-03-02 12:00', 'ann', '7', 1);
select event, item, day, visitors, quantity from item_days;
values ('click', '7', '2026-03-01', 4, 6), ('click', '7', '2026-03-02', 1, 1);

-- case: new visitors are new once, buyers buy
insert into lake_events (record_id, time, event, visitor, item) values
    ('a', '2026-03-01 10:00', 'click', 'ann', '7'),
    ('b', '2026-03-01 10:05', 'buy', 'ann', '7'),
    ('c', '2026-03-02 10:00', 'click', 'ann', '8'),
    ('d', '2026-03-02 11:00', 'click', 'bob', '8'),
    ('e', '2026-03-02 11:00', 'buy', '', '8');
select day, visitors, new_visitors, buyers from visitors_per_day;
values ('2026-03-01', 1, 1, 1), ('2026-03-02', 2, 1, 0);

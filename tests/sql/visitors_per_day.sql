-- case: new visitors are new once, buyers buy
insert into lake_events (record_id, time, event, visitor, item) values
    ('a', '2026-03-01 10:00', 'click', 'ann', '7'),
    ('b', '2026-03-01 10:05', 'buy', 'ann', '7'),
    ('c', '2026-03-02 10:00', 'click', 'ann', '8'),
    ('d', '2026-03-02 11:00', 'click', 'bob', '8'),
    ('e', '2026-03-02 11:00', 'buy', '', '8');
select day, visitors, new_visitors, buyers from visitors_per_day;
values ('2026-03-01', 1, 1, 1), ('2026-03-02', 2, 1, 0);

-- case: who logs in is one visitor of the day, not two
insert into lake_events (record_id, time, event, source_visitor, visitor, item) values
    ('1', '2026-03-01 10:00', 'click', '', 'anon', '7'),
    ('2', '2026-03-01 11:00', 'login', 'anon', 'ann', ''),
    ('3', '2026-03-01 12:00', 'click', '', 'ann', '7');
select visitors, new_visitors from visitors_per_day;
values (1, 1);

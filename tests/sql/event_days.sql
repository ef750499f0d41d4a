-- case: every kind of event counts, with its known visitors
insert into lake_events (record_id, time, event, visitor, item) values
    ('a', '2026-03-01 10:00', 'click', 'ann', '7'),
    ('b', '2026-03-01 11:00', 'click', 'ann', '8'),
    ('c', '2026-03-01 11:00', 'click', '', '8'),
    ('d', '2026-03-01 11:00', 'rendered', '', ''),
    ('e', '2026-03-02 11:00', 'click', 'bob', '8');
select day, event, events, visitors from event_days;
values ('2026-03-01', 'click', 3, 1), ('2026-03-01', 'rendered', 1, 0), ('2026-03-02', 'click', 1, 1);

-- case: what no link of ours reported is counted apart, so that it is not taken for a success
insert into lake_events (record_id, time, event, verified) values
    ('a', '2026-03-01 10:00', 'clickrecommended', true),
    ('b', '2026-03-01 11:00', 'clickrecommended', false),
    ('c', '2026-03-01 12:00', 'clickrecommended', false),
    ('d', '2026-03-01 12:00', 'click', null);
select event, events, unverified from event_days;
values ('click', 1, 0), ('clickrecommended', 3, 2);

-- case: what the tracker received as it happened is counted apart from imports and signed events of the past
insert into lake_events (record_id, received_at, time, event) values
    ('a', '2026-03-01 10:00', '2026-03-01 10:00', 'click'),
    ('b', '2026-03-01 11:00', '2026-03-01 11:00', 'click'),
    ('c', '2026-03-02 12:00', '2026-03-01 12:00', 'click'),
    ('d', '2026-03-02 12:00', '2026-03-01 12:00', 'buy');
select event, events, tracked from event_days;
values ('buy', 1, 0), ('click', 3, 2);

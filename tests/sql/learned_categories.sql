-- case: where the website does not say so, clicks give no categories
insert into lake_items (item) values ('1');
insert into lake_events (record_id, time, visitor, categories) values
    ('a', '2026-12-01 10:00', 'ann', array['/Sale']),
    ('b', '2026-12-01 10:00', 'bob', array['/Sale']);
select item, category from learned_categories;
values ;

-- case: a path counts once two known visitors named it, and their repetitions do not
insert into build (as_of, as_of_day, time_zone, category_from_clicks) values ('2026-12-31 00:00', '2026-12-31', 'UTC', true);
insert into lake_items (item) values ('1'), ('2');
insert into lake_events (record_id, time, visitor, item, categories) values
    ('a', '2026-12-01 10:00', 'ann', '1', array['/Sale', '/New']),
    ('b', '2026-12-01 10:01', 'ann', '1', array['/New']),
    ('c', '2026-12-01 10:02', 'bob', '1', array['/Sale']),
    ('d', '2026-12-01 10:03', '', '1', array['/New']),
    ('e', '2026-12-01 10:04', 'cat', '2', array['/Sale']);
select item, category, visitors from learned_categories;
values ('1', '/Sale', 2);

-- case: only clicks name categories, no robot does, and none of an item that is not for sale or of half a year ago
insert into build (as_of, as_of_day, time_zone, category_from_clicks) values ('2026-12-31 00:00', '2026-12-31', 'UTC', true);
insert into lake_items (item) values ('1');
insert into lake_events (record_id, time, visitor, item, event, is_bot, categories) values
    ('a', '2026-12-01 10:00', 'ann', '1', 'clickrecommended', null, array['/A']),
    ('b', '2026-12-01 10:00', 'bob', '1', 'clickrecommended', null, array['/A']),
    ('c', '2026-12-01 10:00', 'ann', '1', 'click', null, array['/B']),
    ('d', '2026-12-01 10:00', 'bot', '1', 'click', true, array['/B']),
    ('e', '2026-12-01 10:00', 'ann', 'gone', 'click', null, array['/C']),
    ('f', '2026-12-01 10:00', 'bob', 'gone', 'click', null, array['/C']),
    ('g', '2026-07-04 10:00', 'ann', '1', 'click', null, array['/Old']),
    ('h', '2026-12-01 10:00', 'bob', '1', 'click', null, array['/Old']);
select item, category from learned_categories;
values ;

-- case: what the catalogue says is not learned again, and stays
insert into build (as_of, as_of_day, time_zone, category_from_clicks) values ('2026-12-31 00:00', '2026-12-31', 'UTC', true);
insert into lake_items (item, categories) values ('1', array['/A/B']), ('2', array['/C/D/E']);
insert into lake_events (record_id, time, visitor, categories) values
    ('a', '2026-12-01 10:00', 'ann', array['/A/B', '/A', '/C/D']),
    ('b', '2026-12-01 10:00', 'bob', array['/A/B', '/A', '/C/D']);
select learned_categories.category, item_categories.category from item_categories
left join learned_categories on learned_categories.category = item_categories.category
where item_categories.item = '1' order by item_categories.category;
values ('/A', '/A'), (null, '/A/B'), (null, '/C'), ('/C/D', '/C/D');

-- case: paths that the catalogue does not know are nobody's to invent
insert into build (as_of, as_of_day, time_zone, category_from_clicks) values ('2026-12-31 00:00', '2026-12-31', 'UTC', true);
insert into lake_items (item, categories) values ('1', array['/A/B']), ('2', array['/C']);
insert into lake_events (record_id, time, visitor, categories) values
    ('a', '2026-12-01 10:00', 'ann', array['/Mine', '/A/B/Mine', '/%', '/C']),
    ('b', '2026-12-01 10:00', 'bob', array['/Mine', '/A/B/Mine', '/%', '/C']);
select item, category from learned_categories;
values ('1', '/C');

-- case: of an item without catalogue the twenty paths that most visitors named are taken
insert into build (as_of, as_of_day, time_zone, category_from_clicks) values ('2026-12-31 00:00', '2026-12-31', 'UTC', true);
insert into lake_events (record_id, time, visitor, categories) values
    ('a', '2026-12-01 10:00', 'ann', array['/a','/b','/c','/d','/e','/f','/g','/h','/i','/j','/k','/l','/m','/n','/o','/p','/q','/r','/s','/t']),
    ('b', '2026-12-01 10:00', 'bob', array['/a','/b','/c','/d','/e','/f','/g','/h','/i','/j','/k','/l','/m','/n','/o','/p','/q','/r','/s','/t']),
    ('c', '2026-12-01 10:00', 'cat', array['/z', '/b']),
    ('d', '2026-12-01 10:00', 'dan', array['/z']);
select count(*), min(category), max(category), max(visitors) from learned_categories;
values (20, '/a', '/t', 3);

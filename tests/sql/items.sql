-- case: an item of several languages is one item, and its first language speaks for it
insert into lake_items (item, language, attributes) values
    ('7', 'ger-DE', '{"title": ["Sofa (deutsch)"]}'),
    ('7', 'eng-GB', '{"title": ["Sofa"]}'),
    ('8', 'ger-DE', '{"title": ["Tisch"]}');
select item, attributes from items;
values ('7', '{"title": ["Sofa"]}'), ('8', '{"title": ["Tisch"]}');

-- case: the website's first language speaks for an item before others, and what is for any language before a foreign one
insert into build (as_of, as_of_day, time_zone, first_language) values ('2026-12-31', '2026-12-31', 'UTC', 'ger-DE');
insert into lake_items (item, language, attributes) values
    ('7', 'ger-DE', '{"title": ["Sofa (deutsch)"]}'),
    ('7', 'eng-GB', '{"title": ["Sofa"]}'),
    ('8', 'eng-GB', '{"title": ["Table"]}'),
    ('8', '', '{"title": ["T-1000"]}'),
    ('9', 'eng-GB', '{"title": ["Chair"]}');
select item, language, attributes from items;
values ('7', 'ger-DE', '{"title": ["Sofa (deutsch)"]}'), ('8', '', '{"title": ["T-1000"]}'), ('9', 'eng-GB', '{"title": ["Chair"]}');

-- case: with a catalogue, an item that only events know is none of the website's items
insert into lake_items (item) values ('7');
insert into lake_events (record_id, time, item) values ('a', '2026-03-01 10:00', '99');
select item from items;
values ('7');

-- case: without a catalogue, every item of the events is one, since its first event
insert into lake_events (record_id, time, item_type, item) values
    ('a', '2026-03-02 10:00', 1, '99'),
    ('b', '2026-03-01 10:00', 1, '99'),
    ('c', '2026-03-01 10:00', 2, '5'),
    ('d', '2026-03-01 10:00', 0, '');
select item_type, item, first_seen, categories, attributes, price_minor from items;
values (1, '99', '2026-03-01 10:00:00', array[], '{}', null), (2, '5', '2026-03-01 10:00:00', array[], '{}', null);

-- case: items are in order of type, then of the id as text
insert into lake_items (item_type, item) values (2, '1'), (1, '9'), (1, '10');
select item_type, item from items;
values (1, '10'), (1, '9'), (2, '1');

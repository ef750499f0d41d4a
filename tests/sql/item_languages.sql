-- case: what speaks for an item stands in items; its further languages stand here
insert into build (as_of, as_of_day, time_zone, first_language) values ('2026-12-31', '2026-12-31', 'UTC', 'eng-GB');
insert into lake_items (item, language, attributes) values
    ('7', 'ger-DE', '{"title": ["Sofa (deutsch)"]}'),
    ('7', 'eng-GB', '{"title": ["Sofa"]}'),
    ('8', 'ger-DE', '{"title": ["Tisch"]}'),
    ('9', '', '{"title": ["X-1"]}'),
    ('9', 'fre-FR', '{"title": ["Chaise X-1"]}');
select item, language, attributes from item_languages;
values ('7', 'ger-DE', '{"title": ["Sofa (deutsch)"]}'), ('9', 'fre-FR', '{"title": ["Chaise X-1"]}');

-- case: items of one language have no further one
insert into lake_items (item, language) values ('7', 'eng-GB'), ('8', '');
select count(*) from item_languages;
values (0);

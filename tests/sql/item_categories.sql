-- case: an item counts in its paths and in all their ancestors, once each
insert into lake_items (item, categories) values
    ('1', array['/A/B/C']),
    ('2', array['/A/B', '/A/D', '/E']),
    ('3', cast(array[] as text[]));
select item, category from item_categories;
values ('1', '/A'), ('1', '/A/B'), ('1', '/A/B/C'), ('2', '/A'), ('2', '/A/B'), ('2', '/A/D'), ('2', '/E');

-- case: names of several characters, with blanks and letters beyond ASCII, are cut at the slashes alone
insert into lake_items (item, categories) values ('1', array['/Küche & Bad/Große Töpfe/日本']);
select item, category from item_categories;
values ('1', '/Küche & Bad'), ('1', '/Küche & Bad/Große Töpfe'), ('1', '/Küche & Bad/Große Töpfe/日本');

-- case: a path twenty levels deep has twenty categories
insert into lake_items (item, categories) values ('1', array['/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t']);
select count(*), min(length(category)), max(length(category)) from item_categories;
values (20, 2, 40);

-- case: the languages of an item do not add up; its first one speaks
insert into lake_items (item, language, categories) values
    ('1', 'eng-GB', array['/House']),
    ('1', 'ger-DE', array['/Haus']);
select item, category from item_categories;
values ('1', '/House');

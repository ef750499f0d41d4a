-- case: every language of an item is a row; an item without categories has an empty list
insert into lake_items (item, language, categories, price_minor) values
    ('7', 'ger-DE', array['/Haus/Sofas'], 500),
    ('7', 'eng-GB', array['/House/Sofas'], 500),
    ('3', 'eng-GB', null, null);
select item, language, categories, price_minor from stg_items;
values ('3', 'eng-GB', array[], null), ('7', 'eng-GB', array['/House/Sofas'], 500), ('7', 'ger-DE', array['/Haus/Sofas'], 500);

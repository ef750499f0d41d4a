-- case: every change is a row in the order of time, also the one by which a price ends
insert into lake_prices (item, price_minor, currency, valid_from, import_id) values
    ('7', 400, 'EUR', '2026-01-02 03:00', 'second'),
    ('7', 500, 'EUR', '2026-01-01 03:00', 'first'),
    ('3', null, '', '2026-01-02 03:00', 'second');
select item, price_minor, currency, import_id from price_changes;
values ('3', null, '', 'second'), ('7', 500, 'EUR', 'first'), ('7', 400, 'EUR', 'second');

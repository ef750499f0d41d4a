-- What an item cost when: one row a change, up to the build's logical time. The newest row of an item is its price.
select
    item_type,
    item,
    language,
    price_minor,
    currency,
    valid_from,
    import_id
from lake_prices
order by item_type, item, language, valid_from

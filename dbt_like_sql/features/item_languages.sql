-- The further languages of items: what `items` does not already say of them in their first one.
-- An item exists in every language that it has a row in; a row without a language ('') stands for all of them.
select
    stg_items.item_type,
    stg_items.item,
    stg_items.language,
    stg_items.attributes
from stg_items
inner join items on items.item_type = stg_items.item_type
    and items.item = stg_items.item
where stg_items.language <> items.language
order by stg_items.item_type, stg_items.item, stg_items.language

-- Every category an item stands in: its own paths, those learned from clicks, and all their ancestors, once each.
-- An item in /A/B/C counts in /A, /A/B and /A/B/C, so a category list covers what is below it.
with recursive item_paths as (
    select
        item_type,
        item,
        unnest(categories) as path
    from items
    union all
    select
        item_type,
        item,
        category as path
    from learned_categories
),
-- Ancestors are found once per distinct path, not once per item: paths are few.
ancestors as (
    select distinct
        path,
        path as category
    from item_paths
    where path like '/_%'
    union
    select
        path,
        substring(category, 1, length(category) - strpos(reverse(category), '/')) as category
    from ancestors
    where strpos(substring(category, 2), '/') > 0
)
select distinct
    item_paths.item_type,
    item_paths.item,
    ancestors.category
from item_paths
inner join ancestors on ancestors.path = item_paths.path
order by item_paths.item_type, item_paths.item, ancestors.category

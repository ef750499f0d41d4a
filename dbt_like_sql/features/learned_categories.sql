-- Category paths that click events gave to items, where the website allows it (`category_from_clicks`); none else.
-- Anybody can send a click, so a path counts once two known visitors have named it in the last 180 days, and an item
-- gets the twenty that most visitors named: one visitor's invention never counts. Where the catalogue has categories,
-- only its paths, and those above them, count: clicks move items between shelves, they build none. They come on top
-- of the item's own paths, which are not listed again.
with clicked as (
    select
        lake_events.record_id,
        unnest(lake_events.categories) as category
    from lake_events
    cross join build
    where build.category_from_clicks
        and lake_events.event = 'click'
),
own as (
    select
        item_type,
        item,
        unnest(categories) as category
    from items
),
paths as (
    select distinct category from own
),
unknown as (
    select candidates.category
    from (
        select distinct category from clicked
    ) as candidates
    where exists (select 1 from paths)
        and not exists (
            select 1 from paths
            where paths.category = candidates.category
                or substring(paths.category, 1, length(candidates.category) + 1) = candidates.category || '/'
        )
),
named as (
    select
        stg_events.item_type,
        stg_events.item,
        clicked.category,
        count(distinct stg_events.visitor) as visitors
    from clicked
    inner join stg_events on stg_events.record_id = clicked.record_id
    cross join build
    left join unknown on unknown.category = clicked.category
    where unknown.category is null
        and stg_events.visitor <> ''
        and stg_events.day > cast(build.as_of_day - interval '180' day as date)
    group by stg_events.item_type, stg_events.item, clicked.category
),
ranked as (
    select
        named.item_type,
        named.item,
        named.category,
        named.visitors,
        row_number() over (
            partition by named.item_type, named.item order by named.visitors desc, named.category
        ) as position
    from named
    inner join items on items.item_type = named.item_type and items.item = named.item
    left join own on own.item_type = named.item_type and own.item = named.item and own.category = named.category
    where named.visitors >= 2
        and named.category like '/_%'
        and own.category is null
)
select
    item_type,
    item,
    category,
    visitors
from ranked
where position <= 20
order by item_type, item, category

-- Visitors by day, how many of them were new, and how many bought.
with visitor_days as (
    select distinct
        visitor,
        day
    from visitor_item_days
    where visitor <> ''
),
first_days as (
    select
        visitor,
        min(day) as first_day
    from visitor_days
    group by visitor
),
buyers as (
    select
        day,
        count(distinct visitor) as buyers
    from visitor_item_days
    where visitor <> ''
        and event = 'buy'
    group by day
),
visitors as (
    select
        visitor_days.day,
        count(*) as visitors,
        count(case when first_days.first_day = visitor_days.day then 1 end) as new_visitors
    from visitor_days
    inner join first_days on first_days.visitor = visitor_days.visitor
    group by visitor_days.day
)
select
    visitors.day,
    visitors.visitors,
    visitors.new_visitors,
    coalesce(buyers.buyers, 0) as buyers
from visitors
left join buyers on buyers.day = visitors.day
order by visitors.day

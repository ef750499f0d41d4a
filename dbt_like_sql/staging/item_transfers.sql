-- Whose history the events of transferred items are: one row per old item, with the item at the end of its way
-- (a to b, then b to c: a's and b's events are c's). Of several transfers of one item the last counts.
-- The rules are those of personalization_pipelines/content/catalogue/transfers.py, which accepts no circle and no way of more
-- than ten steps; were there one all the same, its items would keep their own events. A build as of a moment before
-- a transfer does not find it in lake_transfers.
with recursive standing as (
    select
        source_type,
        source,
        target_type,
        target
    from (
        select
            source_type,
            source,
            target_type,
            target,
            row_number() over (partition by source_type, source order by position desc) as place
        from lake_transfers
    ) as told
    where place = 1
),
ways as (
    select
        source_type,
        source,
        target_type,
        target,
        1 as steps
    from standing
    union all
    select
        ways.source_type,
        ways.source,
        standing.target_type,
        standing.target,
        ways.steps + 1 as steps
    from ways
    inner join standing on standing.source_type = ways.target_type and standing.source = ways.target
    where ways.steps < 10
)
select
    ways.source_type,
    ways.source,
    ways.target_type,
    ways.target,
    cast(ways.steps as integer) as steps
from ways
left join standing as onward on onward.source_type = ways.target_type and onward.source = ways.target
where onward.source is null
order by source_type, source

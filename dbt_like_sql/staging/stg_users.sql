-- What the website told about its users, by source; visitors are pseudonyms here as everywhere.
select
    visitor,
    source,
    attributes
from lake_users
order by visitor, source

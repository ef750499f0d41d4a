-- case: each source of the website speaks for itself
insert into lake_users (visitor, source, attributes) values
    ('bob', 'shop', '{}'),
    ('ann', 'shop', '{"city": ["Bonn"]}'),
    ('ann', 'crm', '{"age": [30]}');
select visitor, source, attributes from stg_users;
values ('ann', 'crm', '{"age": [30]}'), ('ann', 'shop', '{"city": ["Bonn"]}'), ('bob', 'shop', '{}');

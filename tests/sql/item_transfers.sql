-- case: an old item's events are the new one's, of another type too
insert into lake_transfers (position, source, target_type, target) values (1, '1', 1, '2'), (2, '5', 2, '5');
select source_type, source, target_type, target, steps from item_transfers;
values (1, '1', 1, '2', 1), (1, '5', 2, '5', 1);

-- case: a chain is followed to its end, whichever part came first
insert into lake_transfers (position, source, target_type, target) values
    (1, '3', 1, '4'), (2, '1', 1, '2'), (3, '4', 2, '9'), (4, '2', 1, '3');
select source, target_type, target, steps from item_transfers;
values ('1', 2, '9', 4), ('2', 2, '9', 3), ('3', 2, '9', 2), ('4', 2, '9', 1);

-- case: of several transfers of one item the last counts
insert into lake_transfers (position, source, target) values (7, '1', '3'), (2, '1', '2'), (5, '1', '4');
select source, target from item_transfers;
values ('1', '3');

-- case: ten steps are followed, and of a longer way the items that are more than ten before its end keep their events
insert into lake_transfers (position, source, target) values
    (1, 'a', 'b'), (2, 'b', 'c'), (3, 'c', 'd'), (4, 'd', 'e'), (5, 'e', 'f'), (6, 'f', 'g'), (7, 'g', 'h'),
    (8, 'h', 'i'), (9, 'i', 'j'), (10, 'j', 'k'), (11, 'k', 'l');
select source, target, steps from item_transfers where source in ('a', 'b', 'k');
values ('b', 'l', 10), ('k', 'l', 1);

-- case: a circle, which is never accepted, would move nothing and end
insert into lake_transfers (position, source, target) values (1, '1', '2'), (2, '2', '1'), (3, '3', '1'), (4, '5', '6');
select source, target from item_transfers;
values ('5', '6');

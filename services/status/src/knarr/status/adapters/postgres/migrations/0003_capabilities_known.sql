-- The JSON null: what a cluster serves is not known. No agent told it before.
alter table status.cluster alter column capabilities set default 'null';
update status.cluster set capabilities = 'null' where capabilities = '[]';
update status.facts set capabilities = 'null', published = false where capabilities = '[]';

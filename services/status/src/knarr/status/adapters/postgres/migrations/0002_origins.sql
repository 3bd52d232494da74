-- File and line in Git of every object of a variant, by object id. Asked for only where something is wrong.
alter table status.variant add column origins jsonb not null default '{}';

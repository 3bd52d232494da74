-- Reports on apps that neither Git nor rollout knows (yet): which, not what they say. They enter the read model when
-- the app becomes known; after a while their subjects are purged.
create table status.stranger (
    cluster text collate "C" not null,
    app text collate "C" not null,
    sequence bigint not null, -- of the newest report on it
    first_at_ms bigint not null,
    primary key (cluster, app)
);

-- At most one change of a cluster's facts is told in a while.
alter table status.facts add column published_at_ms bigint not null default 0;

-- What an approval has to name, and where an approved change waits.
alter table status.verdict add column evidence text not null default '';
alter table status.verdict add column waiting text[] not null default '{}';

-- Who asked for a decision, where a command did.
alter table status.decision add column actor text not null default '';
alter table status.decision add column reason text not null default '';

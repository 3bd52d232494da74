-- name: lock_placements
select p.cluster, p.app, p.standing
from status.placement p
join unnest($1::text[], $2::text[]) as k(cluster, app) on p.cluster = k.cluster and p.app = k.app
order by p.cluster, p.app
for update of p

-- name: upsert_clusters
insert into status.cluster as c (
    name, stream_created, sequence, heard_at_ms, epoch, uid, generation_seen, generation_applied, agent_version,
    start_number, kubernetes_version, reported_labels, capabilities, features, failures, app_count, reported_at_ms,
    first_heard_at_ms, silent
)
select name, stream_created, sequence, heard_at_ms, epoch, uid, generation_seen, generation_applied, agent_version,
    start_number, kubernetes_version, reported_labels::jsonb,
    coalesce(
        nullif(capabilities::jsonb, 'null'), (select k.capabilities from status.cluster k where k.name = t.name), 'null'
    ),
    features::jsonb, failures::jsonb, app_count, reported_at_ms, heard_at_ms, heard_at_ms < $18
from unnest(
    $1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::bigint[], $8::bigint[],
    $9::text[], $10::bigint[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::int[],
    $17::bigint[]
) as t(name, stream_created, sequence, heard_at_ms, epoch, uid, generation_seen, generation_applied, agent_version,
    start_number, kubernetes_version, reported_labels, capabilities, features, failures, app_count, reported_at_ms)
on conflict (name) do update set
    stream_created = excluded.stream_created, sequence = excluded.sequence, epoch = excluded.epoch, uid = excluded.uid,
    generation_seen = excluded.generation_seen, generation_applied = excluded.generation_applied,
    agent_version = excluded.agent_version, start_number = excluded.start_number,
    kubernetes_version = excluded.kubernetes_version, reported_labels = excluded.reported_labels,
    capabilities = excluded.capabilities, features = excluded.features, failures = excluded.failures,
    app_count = excluded.app_count, reported_at_ms = excluded.reported_at_ms,
    first_heard_at_ms = coalesce(c.first_heard_at_ms, excluded.first_heard_at_ms)
where (c.stream_created, c.sequence) < (excluded.stream_created, excluded.sequence)

-- name: hear_clusters
-- Any report is a sign of life; what was silent and is heard again comes back.
with heard as (
    select * from unnest($1::text[], $2::bigint[]) as t(name, heard_at_ms)
), before as (
    -- As it was before this statement: no `for update`, which would leave out rows that `written` reached first.
    select c.name, c.silent, c.first_heard_at_ms from status.cluster c join heard h using (name)
), written as (
    insert into status.cluster as c (name, heard_at_ms, first_heard_at_ms, silent)
    select name, heard_at_ms, heard_at_ms, heard_at_ms < $3 from heard order by name
    on conflict (name) do update set
        heard_at_ms = greatest(c.heard_at_ms, excluded.heard_at_ms),
        first_heard_at_ms = coalesce(c.first_heard_at_ms, excluded.first_heard_at_ms),
        silent = greatest(c.heard_at_ms, excluded.heard_at_ms) < $3
    returning c.name, c.silent, c.heard_at_ms
)
select w.name, w.heard_at_ms from written w join before b using (name)
where b.silent and not w.silent and b.first_heard_at_ms is not null

-- name: silence_clusters
update status.cluster set silent = true
where not silent and (heard_at_ms is null or heard_at_ms < $1)
returning name, heard_at_ms

-- name: upsert_placements
insert into status.placement as p (
    cluster, app, stream_created, sequence, heard_at_ms, state, digest, generation, since_ms, applied_at_ms, message,
    failures, unhealthy, drift, adoptions, counts, object_count, held_digests, traceparent, reached_at_ms, healthy_at_ms
)
select cluster, app, stream_created, sequence, heard_at_ms, state, digest, generation, since_ms, applied_at_ms, message,
    failures::jsonb, unhealthy::jsonb, drift::jsonb, adoptions::jsonb, counts::jsonb, object_count,
    held_digests::jsonb, traceparent, heard_at_ms, case when state = 'healthy' then heard_at_ms end
from unnest(
    $1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[], $7::bytea[], $8::bigint[],
    $9::bigint[], $10::bigint[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[],
    $17::int[], $18::text[], $19::text[]
) as t(cluster, app, stream_created, sequence, heard_at_ms, state, digest, generation, since_ms, applied_at_ms, message,
    failures, unhealthy, drift, adoptions, counts, object_count, held_digests, traceparent)
on conflict (cluster, app) do update set
    stream_created = excluded.stream_created, sequence = excluded.sequence, heard_at_ms = excluded.heard_at_ms,
    state = excluded.state, digest = excluded.digest, generation = excluded.generation, since_ms = excluded.since_ms,
    applied_at_ms = excluded.applied_at_ms, message = excluded.message, failures = excluded.failures,
    unhealthy = excluded.unhealthy, drift = excluded.drift, adoptions = excluded.adoptions, counts = excluded.counts,
    object_count = excluded.object_count, held_digests = excluded.held_digests, traceparent = excluded.traceparent,
    reached_at_ms = case when p.digest = excluded.digest and p.generation = excluded.generation
        then p.reached_at_ms else excluded.reached_at_ms end,
    healthy_at_ms = case when p.digest = excluded.digest and p.generation = excluded.generation
        then coalesce(p.healthy_at_ms, excluded.healthy_at_ms) else excluded.healthy_at_ms end
where (p.stream_created, p.sequence) < (excluded.stream_created, excluded.sequence)
returning p.cluster, p.app, p.standing

-- name: reach_deliveries
insert into status.delivery as d (cluster, generation, app, digest, reached_at_ms, healthy_at_ms)
select cluster, generation, app, digest, heard_at_ms, case when state = 'healthy' then heard_at_ms end
from unnest($1::text[], $2::bigint[], $3::text[], $4::bytea[], $5::bigint[], $6::text[])
    as t(cluster, generation, app, digest, heard_at_ms, state)
where generation > 0 and state <> 'removed'
order by cluster, generation, app
on conflict (cluster, generation, app) do update set
    digest = coalesce(d.digest, excluded.digest),
    reached_at_ms = case when d.digest is null or d.digest = excluded.digest
        then least(d.reached_at_ms, excluded.reached_at_ms) else d.reached_at_ms end,
    healthy_at_ms = case when d.digest is null or d.digest = excluded.digest
        then least(d.healthy_at_ms, excluded.healthy_at_ms) else d.healthy_at_ms end

-- name: append_transitions
insert into status.transition (cluster, app, generation, at_ms, state, digest, reason, recorded_at_ms)
select cluster, app, generation, at_ms, state, digest, reason, $8
from unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::bytea[], $6::bigint[], $7::text[])
    as t(cluster, app, at_ms, state, digest, generation, reason)
order by cluster, app, generation, at_ms, state
on conflict do nothing

-- name: events_lately
-- How many of each cluster's events are from lately, looking no further back than at the most that it may have.
select c.cluster, (
    select count(*) from (
        select e.at_ms from status.event e where e.cluster = c.cluster order by e.number desc limit $2
    ) newest where newest.at_ms > $3
) as events
from unnest($1::text[]) as c(cluster)

-- name: append_events
insert into status.event (event_id, kind, cluster, app, message, code, revision, at_ms)
select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[])
on conflict (event_id) do nothing

-- name: remember_purges
insert into status.purge as p (cluster, app, stream_created, sequence, recorded_at_ms)
select cluster, app, stream_created, sequence, $5
from unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[]) as t(cluster, app, stream_created, sequence)
order by cluster, app
on conflict (cluster, app) do update set
    stream_created = excluded.stream_created, sequence = excluded.sequence, recorded_at_ms = excluded.recorded_at_ms
where (p.stream_created, p.sequence) < (excluded.stream_created, excluded.sequence)

-- name: record_facts
insert into status.facts as f (cluster, cluster_uid, kubernetes_version, reported_labels, capabilities, enrolled_at_ms)
select c.name, c.uid, c.kubernetes_version, c.reported_labels, c.capabilities, c.first_heard_at_ms
from status.cluster c
where c.name = any($1::text[]) and c.uid <> '' and c.first_heard_at_ms is not null
order by c.name
on conflict (cluster) do update set
    cluster_uid = excluded.cluster_uid, kubernetes_version = excluded.kubernetes_version,
    reported_labels = excluded.reported_labels, capabilities = excluded.capabilities, published = false,
    -- That its capabilities are known for the first time need not wait.
    published_at_ms = case when f.capabilities = 'null' and excluded.capabilities <> 'null' then 0 else f.published_at_ms end
where (f.cluster_uid, f.kubernetes_version, f.reported_labels, f.capabilities)
    is distinct from (excluded.cluster_uid, excluded.kubernetes_version, excluded.reported_labels, excluded.capabilities)

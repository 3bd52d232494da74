-- name: upsert_commit
insert into status.commit as c (source, number, sha, ref, author, subject, url, committed_at_ms, observed_at_ms)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
on conflict (source, number) do update set
    sha = excluded.sha,
    ref = case when excluded.ref = '' then c.ref else excluded.ref end,
    author = case when excluded.author = '' then c.author else excluded.author end,
    subject = case when excluded.subject = '' then c.subject else excluded.subject end,
    url = case when excluded.url = '' then c.url else excluded.url end,
    committed_at_ms = greatest(c.committed_at_ms, excluded.committed_at_ms),
    observed_at_ms = greatest(c.observed_at_ms, excluded.observed_at_ms)

-- name: commit_stored
update status.commit set stored_at_ms = least(stored_at_ms, $3), file_count = $4, published_bytes = $5,
    published_files = $6, trace_id = case when $7 = '' then trace_id else $7 end
where source = $1 and number = $2

-- name: commit_rendered
update status.commit set rendered_created = $3, rendered_sequence = $4,
    render_started_at_ms = coalesce(render_started_at_ms, $5), rendered_at_ms = coalesce(rendered_at_ms, $6),
    renders = $7, cache_hits = $8, blobs_published = $9, outcomes = $10::jsonb, failures = $11::jsonb,
    trace_id = case when trace_id = '' then $12 else trace_id end
where source = $1 and number = $2 and (rendered_created, rendered_sequence) < ($3, $4)
returning number

-- name: commit_apps
insert into status.commit_app (source, number, app, outcome, revision, code)
select $1, $2, * from unnest($3::text[], $4::text[], $5::text[], $6::text[])
on conflict (source, number, app) do update set
    outcome = excluded.outcome, revision = excluded.revision, code = excluded.code

-- name: apps_of_commit
insert into status.app as a (app, source, gone)
select app, source, gone from unnest($1::text[], $2::text[], $3::boolean[]) as t(app, source, gone) order by app
on conflict (app) do update set
    -- an app that moved to another source is not gone because its old source lost it
    gone = excluded.gone and (a.source = '' or excluded.source in ('', a.source)),
    source = case when excluded.source = '' or excluded.gone then a.source else excluded.source end

-- name: fleet_is_news
insert into status.fleet as f (stream_created, sequence, members_digest) values ($1, $2, $3)
on conflict (only_row) do update set
    stream_created = excluded.stream_created, sequence = excluded.sequence, members_digest = excluded.members_digest
where (f.stream_created, f.sequence) < (excluded.stream_created, excluded.sequence)
    and f.members_digest <> excluded.members_digest
returning only_row

-- name: replace_members
with named as (
    select name, labels::jsonb as labels from unnest($1::text[], $2::text[]) as t(name, labels)
), left_out as (
    update status.cluster c set member = false, fleet_labels = '{}'
    where c.member and not exists (select from named n where n.name = c.name)
    returning c.name
), written as (
    insert into status.cluster as c (name, member, fleet_labels)
    select name, true, labels from named order by name
    on conflict (name) do update set member = true, fleet_labels = excluded.fleet_labels
    where not c.member or c.fleet_labels <> excluded.fleet_labels
    returning c.name
)
select name from left_out union all select name from written

-- name: insert_revision
insert into status.revision (revision, app, source, commit_number, commit_sha, fleet_number, facts_number,
    rendered_at_ms, path)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
on conflict (revision) do nothing
returning revision

-- name: outcome_of_commit
-- The commit's own closing message may have been overtaken in its stream by the next one.
insert into status.commit_app (source, number, app, outcome, revision, code) values ($1, $2, $3, $4, $5, $6)
on conflict do nothing

-- name: insert_variant
insert into status.variant (revision, digest, object_count, clusters, origins) values ($1, $2, $3, $4, $5)
on conflict do nothing

-- name: insert_bundle
insert into status.bundle (digest, object_ids, protected_ids) values ($1, $2, $3) on conflict do nothing

-- name: app_rendered
insert into status.app as a (app, source, path, stream_created, sequence, revision)
values ($1, $2, $3, $4, $5, $6)
on conflict (app) do update set
    source = excluded.source, path = excluded.path, gone = false,
    stream_created = excluded.stream_created, sequence = excluded.sequence, revision = excluded.revision,
    render_failures = case when (a.failed_created, a.failed_sequence) < (excluded.stream_created, excluded.sequence)
        then '[]'::jsonb else a.render_failures end
where (a.stream_created, a.sequence) < (excluded.stream_created, excluded.sequence)

-- name: app_failed
insert into status.app as a (app, source, failed_created, failed_sequence, failed_commit_number, failed_commit_sha,
    render_failures)
values ($1, $2, $3, $4, $5, $6, $7::jsonb)
on conflict (app) do update set
    failed_created = excluded.failed_created, failed_sequence = excluded.failed_sequence,
    failed_commit_number = excluded.failed_commit_number, failed_commit_sha = excluded.failed_commit_sha,
    render_failures = case when (a.stream_created, a.sequence) < (excluded.failed_created, excluded.failed_sequence)
        then excluded.render_failures else a.render_failures end
where (a.failed_created, a.failed_sequence) < (excluded.failed_created, excluded.failed_sequence)

-- name: clear_render_failures
-- A commit whose outcome for the app is not `failed` closes an earlier failure, also when nothing was rendered anew.
update status.app set render_failures = '[]'
where app = any($1::text[]) and render_failures <> '[]' and (failed_created, failed_sequence) < ($2, $3)

-- name: insert_decision
insert into status.decision (epoch, number, source, commit_number, decided_at_ms, command_id, failures, detached,
    unenrolled, actor, reason)
values ($1, $2, $3, $4, $5, $6, $7::jsonb, $8, $9, $10, $11)
on conflict do nothing

-- name: commit_decided
update status.commit set decision_created = $3, decision_sequence = $4, decided_at_ms = coalesce(decided_at_ms, $5),
    assigned_clusters = coalesce(assigned_clusters, 0) + $6,
    trace_id = case when trace_id = '' then $7 else trace_id end
where source = $1 and number = $2 and (decision_created, decision_sequence) < ($3, $4)

-- name: lock_verdicts
select app, revision, verdict from status.verdict
where app = any($1::text[]) order by app, revision for update

-- name: held_before
select app, decided_revision from status.app where app = any($1::text[]) and verdict = 'held'

-- name: upsert_verdict
insert into status.verdict as v (app, revision, stream_created, sequence, verdict, decided_at_ms, held_since_ms,
    command_id, clusters, reasons, losses, failures, variants, source, commit_number, evidence, waiting)
values ($1, $2, $3, $4, $5, $6, case when $5 = 'held' then $6::bigint end, $7, $8, $9::jsonb, $10::jsonb, $11::jsonb,
    $12::jsonb, $13, $14, $15, $16)
on conflict (app, revision) do update set
    stream_created = excluded.stream_created, sequence = excluded.sequence, verdict = excluded.verdict,
    decided_at_ms = excluded.decided_at_ms,
    held_since_ms = coalesce(v.held_since_ms, excluded.held_since_ms),
    command_id = case when excluded.command_id = '' then v.command_id else excluded.command_id end,
    clusters = case when excluded.clusters = '{}' then v.clusters else excluded.clusters end,
    failures = excluded.failures, variants = excluded.variants,
    evidence = case when excluded.evidence = '' then v.evidence else excluded.evidence end, waiting = excluded.waiting,
    -- what was held against it stays readable after the release
    reasons = case when excluded.reasons = '[]' then v.reasons else excluded.reasons end,
    losses = case when excluded.losses = '[]' then v.losses else excluded.losses end
where (v.stream_created, v.sequence) < (excluded.stream_created, excluded.sequence)

-- name: app_decided
insert into status.app as a (app, decision_created, decision_sequence, verdict, decided_revision, decided_at_ms)
values ($1, $2, $3, $4, $5, $6)
on conflict (app) do update set
    decision_created = excluded.decision_created, decision_sequence = excluded.decision_sequence,
    verdict = excluded.verdict, decided_revision = excluded.decided_revision, decided_at_ms = excluded.decided_at_ms
where (a.decision_created, a.decision_sequence) < (excluded.decision_created, excluded.decision_sequence)

-- name: assign_placements
-- Gives back which placements got another digest than they had: each is a delivery that now begins.
with incoming as (
    select * from unnest($1::text[], $2::text[], $3::bytea[], $4::bigint[], $5::text[], $6::bigint[])
        as t(cluster, app, digest, generation, revision, assigned_at_ms)
), before as (
    select p.cluster, p.app, p.assigned_digest from status.placement p join incoming i using (cluster, app)
), written as (
    insert into status.placement as p (cluster, app, decision_created, decision_sequence, assigned_digest,
        assigned_generation, assigned_revision, assigned_at_ms)
    select cluster, app, $7, $8, digest, generation, revision, assigned_at_ms from incoming order by cluster, app
    on conflict (cluster, app) do update set
        decision_created = excluded.decision_created, decision_sequence = excluded.decision_sequence,
        assigned_revision = excluded.assigned_revision, assigned_digest = excluded.assigned_digest,
        assigned_generation = case when p.assigned_digest is not distinct from excluded.assigned_digest
            then coalesce(p.assigned_generation, excluded.assigned_generation) else excluded.assigned_generation end,
        assigned_at_ms = case when p.assigned_digest is not distinct from excluded.assigned_digest
            then coalesce(p.assigned_at_ms, excluded.assigned_at_ms) else excluded.assigned_at_ms end
    where (p.decision_created, p.decision_sequence) < (excluded.decision_created, excluded.decision_sequence)
    returning p.cluster, p.app, p.assigned_digest
)
select w.cluster, w.app, w.assigned_digest is not null and b.assigned_digest is distinct from w.assigned_digest as begins
from written w left join before b using (cluster, app)
order by w.cluster, w.app

-- name: assign_deliveries
insert into status.delivery as d (cluster, generation, app, digest, source, commit_number, decided_at_ms)
select cluster, generation, app, digest, $6, $7, decided_at_ms
from unnest($1::text[], $2::bigint[], $3::text[], $4::bytea[], $5::bigint[])
    as i(cluster, generation, app, digest, decided_at_ms)
order by cluster, generation, app
on conflict (cluster, generation, app) do update set
    digest = excluded.digest, source = excluded.source, commit_number = excluded.commit_number,
    decided_at_ms = excluded.decided_at_ms,
    reached_at_ms = case when d.digest = excluded.digest then d.reached_at_ms end,
    healthy_at_ms = case when d.digest = excluded.digest then d.healthy_at_ms end

-- name: upsert_source
insert into status.source as s (source, stream_created, sequence, reachable, failure, since_ms, checked_at_ms)
values ($1, $2, $3, $4, $5::jsonb, $6, $7)
on conflict (source) do update set
    stream_created = excluded.stream_created, sequence = excluded.sequence, reachable = excluded.reachable,
    failure = excluded.failure, since_ms = excluded.since_ms, checked_at_ms = excluded.checked_at_ms
where (s.stream_created, s.sequence) < (excluded.stream_created, excluded.sequence)

-- name: source_reachable
select reachable from status.source where source = $1 for update

-- name: command_handled
update status.command set accepted = $2, failure = $3::jsonb, handled_at_ms = $4 where command_id = $1

-- name: insert_command
insert into status.command (command_id, verb, revision, cluster, app, actor, reason, asked_at_ms)
values ($1, $2, $3, $4, $5, $6, $7, $8)
on conflict do nothing

-- name: read_command
select accepted, failure, handled_at_ms from status.command where command_id = $1

-- name: notify
select pg_notify('knarr_status', $1)

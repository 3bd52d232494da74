-- name: stage_counts
select coalesce(c.labels->>$1, '') as stage,
    case when c.silent then 6 else coalesce(w.worst, 1) end as standing, count(*) as clusters
from status.cluster c
left join (select cluster, max(standing) as worst from status.placement group by cluster) w on w.cluster = c.name
group by 1, 2

-- name: app_counts
select p.app, coalesce(c.labels->>$1, '') as stage, case when c.silent then 6 else p.standing end as standing,
    count(*) as clusters
from status.placement p join status.cluster c on c.name = p.cluster
where p.standing <> 0 and ($2::text is null or p.app = $2)
group by 1, 2, 3

-- name: map_cells
select c.name, coalesce(c.labels->>$1, '') as stage,
    case when c.silent then 6 else coalesce(w.worst, 1) end as standing
from status.cluster c
left join (
    select cluster, max(standing) as worst from status.placement
    where ($2::text[] is null or cluster = any($2)) and ($3::text is null or app = $3) group by cluster
) w on w.cluster = c.name
where ($2::text[] is null or c.name = any($2)) and ($3::text is null or w.worst > 0)
order by 2, 1

-- name: list_clusters
select c.name, c.silent, c.heard_at_ms, c.first_heard_at_ms, c.member, c.labels, coalesce(c.labels->>$1, '') as stage,
    c.epoch, c.uid, c.generation_seen, c.generation_applied, c.agent_version, c.start_number, c.kubernetes_version,
    c.failures, c.reported_at_ms, s.worst, s.counts, s.assigned_generation
from status.cluster c
cross join lateral (
    select case when c.silent then 6 else coalesce(max(standing), 1) end as worst,
        jsonb_object_agg(standing, n) as counts, max(g) as assigned_generation
    from (
        select p.standing, count(*) as n, max(p.assigned_generation) as g
        from status.placement p where p.cluster = c.name and p.standing <> 0 group by p.standing
    ) grouped
) s
where c.name > $2
    and ($3::text is null or c.name like '%' || $3 || '%')
    and ($4::text is null or coalesce(c.labels->>$1, '') = $4)
    and ($5::jsonb is null or c.labels @> $5)
    and ($6::int[] is null or s.worst = any($6))
    and ($7::text is null or exists (
        select from status.placement p where p.cluster = c.name and p.app = $7 and p.standing <> 0
    ))
    and ($8::text is null or c.name = $8)
    and ($9::text is null or exists (
        select from status.placement p
        join status.variant v on v.digest = p.digest and p.cluster = any(v.clusters)
        join status.commit_app a on a.revision = v.revision and a.app = p.app
        where p.cluster = c.name and ($7::text is null or p.app = $7) and a.source = $9 and a.number = $10
    ))
order by c.name
limit $11

-- name: placements
-- With the newest revision that names the digest which the cluster reports, and the newest commit that names it; and
-- where in Git the objects lie of which something is said, by the bundle that is assigned, else by the one reported.
select p.cluster, p.app, p.state, p.digest, p.generation, p.since_ms, p.applied_at_ms, p.message, p.failures,
    p.unhealthy, p.drift, p.adoptions, p.counts, p.object_count, p.held_digests, p.heard_at_ms, p.reached_at_ms,
    p.healthy_at_ms, p.assigned_digest, p.assigned_generation, p.assigned_revision, p.assigned_at_ms,
    case when c.silent then 6 else p.standing end as standing, c.silent, p.traceparent,
    r.revision, r.source, r.commit_number as made_number, r.commit_sha as made_sha, n.number as commit_number,
    n.sha as commit_sha, n.subject as commit_subject, o.origins
from status.placement p
join status.cluster c on c.name = p.cluster
left join lateral (
    select r.revision, r.source, r.commit_number, r.commit_sha
    from status.variant v join status.revision r using (revision)
    where v.digest = p.digest and r.app = p.app and p.cluster = any(v.clusters)
    order by r.commit_number desc, r.fleet_number desc, r.facts_number desc limit 1
) r on true
left join lateral (
    select k.number, k.sha, k.subject
    from status.commit_app a join status.commit k on k.source = a.source and k.number = a.number
    where a.revision = r.revision and a.source = r.source order by k.number desc limit 1
) n on true
left join lateral (
    -- Once per placement that has something to say, whatever the number of objects it speaks of.
    select coalesce(pick.reported, '{}') || coalesce(pick.assigned, '{}') as known
    from (
        select (
            select v.origins from status.variant v join status.revision m using (revision)
            where v.digest = p.digest and m.app = p.app
            order by m.commit_number desc, m.fleet_number desc limit 1
        ) as reported, (
            select v.origins from status.variant v join status.revision m using (revision)
            where v.digest = p.assigned_digest and m.app = p.app
            order by m.commit_number desc, m.fleet_number desc limit 1
        ) as assigned
    ) pick
    where jsonb_array_length(p.failures || p.unhealthy || p.drift || p.adoptions) > 0
    offset 0
) x on true
left join lateral (
    select jsonb_object_agg(n.object, x.known ->> n.object) as origins
    from (
        select distinct e.said ->> 'object' as object
        from jsonb_array_elements(p.failures || p.unhealthy || p.drift || p.adoptions) as e(said)
    ) n
    where x.known ? n.object
) o on true
where ($1::text[] is null or p.cluster = any($1)) and ($2::text is null or p.app = $2) and p.standing <> 0
    and ($3::text is null or (p.cluster, p.app) > ($3, $4))
    and ($6::int[] is null or (case when c.silent then 6 else p.standing end) = any($6))
order by p.cluster, p.app
limit $5

-- name: list_apps
select a.*, v.reasons, v.losses, v.failures as decision_failures, v.clusters as decision_clusters, v.held_since_ms,
    v.evidence, v.waiting, r.commit_number, r.commit_sha, r.rendered_at_ms
from status.app a
left join status.verdict v on v.app = a.app and v.revision = a.decided_revision
left join status.revision r on r.revision = a.revision
where a.app > $1 and ($2::text is null or a.app = $2) and ($3::text is null or a.source = $3)
    and ($4::text is null or a.app like '%' || $4 || '%')
order by a.app limit $5

-- name: list_commits
select c.*, d.total, d.reached, d.healthy, d.superseded, d.first_reached_at_ms, d.last_reached_at_ms,
    d.last_healthy_at_ms, d.first_healthy_at_ms, d.clusters,
    (
        select coalesce(jsonb_agg(jsonb_build_object('app', a.app, 'outcome', a.outcome, 'code', a.code) order by a.app), '[]')
        from status.commit_app a
        where a.source = c.source and a.number = c.number and a.outcome <> 'unchanged'
    ) as touched
from status.commit c
cross join lateral (
    select count(*) as total, count(d.reached_at_ms) as reached, count(d.healthy_at_ms) as healthy,
        count(*) filter (where d.healthy_at_ms is null and p.assigned_generation > d.generation) as superseded,
        min(d.reached_at_ms) as first_reached_at_ms, max(d.reached_at_ms) as last_reached_at_ms,
        min(d.healthy_at_ms) as first_healthy_at_ms, max(d.healthy_at_ms) as last_healthy_at_ms,
        count(distinct d.cluster) as clusters
    from status.delivery d left join status.placement p on p.cluster = d.cluster and p.app = d.app
    where d.source = c.source and d.commit_number = c.number
) d
where ($1::bigint is null or (c.observed_at_ms, c.source, c.number) < ($1, $2, $3))
    and ($4::text is null or c.source = $4)
    and ($5::text is null or c.sha like $5 || '%')
    and ($6::bigint is null or c.number = $6)
order by c.observed_at_ms desc, c.source desc, c.number desc
limit $7

-- name: held_of_commits
-- Also those that something newer took the place of: nothing of them was ever sent.
select v.app, v.revision, coalesce(r.source, v.source) as source,
    coalesce(r.commit_number, v.commit_number) as commit_number, a.decided_revision = v.revision as current
from status.verdict v
join status.app a on a.app = v.app
left join status.revision r on r.revision = v.revision
where v.verdict = 'held'

-- name: where_commit_is
-- For each app of a commit: the clusters that its revision names, and how many of them are there.
select a.app, a.outcome, a.revision, a.code, v.verdict, v.reasons,
    coalesce(w.total, 0) as total, coalesce(w.here, 0) as here, coalesce(w.healthy, 0) as healthy,
    w.on_clusters, w.off_clusters
from status.commit_app a
left join status.verdict v on v.app = a.app and v.revision = a.revision
left join lateral (
    select count(*) as total, count(*) filter (where t.here) as here,
        count(*) filter (where t.here and t.standing = 1) as healthy,
        (array_agg(t.cluster order by t.cluster) filter (where t.here))[1:$4] as on_clusters,
        (array_agg(t.cluster order by t.cluster) filter (where not t.here))[1:$4] as off_clusters
    from (
        select n.cluster, coalesce(p.digest = x.digest, false) as here,
            case when c.silent then 6 else p.standing end as standing
        from status.variant x
        cross join lateral unnest(x.clusters) as n(cluster)
        left join status.placement p on p.cluster = n.cluster and p.app = a.app
        left join status.cluster c on c.name = n.cluster
        where x.revision = a.revision
    ) t
) w on true
where a.source = $1 and a.number = $2 and ($3::text is null or a.app = $3)
order by a.app

-- name: list_revisions
select v.app, v.revision, v.verdict, v.decided_at_ms, v.held_since_ms, v.command_id, v.clusters, v.reasons, v.losses,
    v.failures, v.variants, v.evidence, v.waiting, a.decided_revision = v.revision as current, a.verdict as app_verdict,
    k.source, k.number as commit_number, k.sha as commit_sha, r.rendered_at_ms, r.path, k.subject, k.author, k.url,
    m.actor, m.reason as approval_reason
from status.verdict v
join status.app a on a.app = v.app
left join status.revision r on r.revision = v.revision
left join status.commit k
    on k.source = coalesce(r.source, v.source) and k.number = coalesce(r.commit_number, v.commit_number)
left join status.command m on m.command_id = v.command_id
where ($1::bigint is null or (v.decided_at_ms, v.app, v.revision) < ($1, $2, $3))
    and ($4::text is null or v.app = $4)
    and ($5::text is null or v.revision like $5 || '%')
    and ($6::text is null
        or ($6 = 'held' and v.verdict = 'held' and a.decided_revision = v.revision)
        or ($6 = 'superseded' and v.verdict = 'held' and a.decided_revision <> v.revision)
        or ($6 = 'approved' and v.verdict in ('assigned', 'removed') and v.held_since_ms is not null)
        or ($6 = 'assigned' and v.verdict in ('assigned', 'unchanged'))
        or ($6 = 'refused' and v.verdict = 'refused')
        or ($6 = 'failed' and v.verdict = 'failed'))
order by v.decided_at_ms desc, v.app desc, v.revision desc
limit $7

-- name: revision_variants
select v.digest, v.object_count, v.clusters, b.object_ids, b.protected_ids
from status.variant v left join status.bundle b using (digest)
where v.revision = $1 order by cardinality(v.clusters) desc, v.digest

-- name: list_sources
select s.source as reported, coalesce(s.source, c.source) as source, s.reachable, s.failure, s.since_ms, s.checked_at_ms,
    c.number, c.sha, c.subject, c.author, c.url, c.ref, c.observed_at_ms, c.failures as commit_failures,
    (select count(*) from status.app a where a.source = coalesce(s.source, c.source) and not a.gone) as apps
from status.source s
full join (
    select distinct on (source) * from status.commit order by source, number desc
) c on c.source = s.source
where coalesce(s.source, c.source) > $1 and ($2::text is null or coalesce(s.source, c.source) = $2)
order by 2 limit $3

-- name: list_events
select number, event_id, kind, cluster, app, message, code, revision, at_ms from status.event
where ($1::bigint is null or number < $1)
    and ($2::text is null or cluster = $2) and ($3::text is null or app = $3) and ($4::text is null or kind = $4)
order by number desc limit $5

-- name: transitions
select at_ms, state, digest, generation, reason, recorded_at_ms from status.transition
where cluster = $1 and app = $2 order by generation desc, at_ms desc limit $3

-- name: find_commits
select c.* from status.commit c
where c.source = $1 and (c.sha like $2 || '%' or c.number::text = $2) order by c.number desc limit 2

-- name: wanted
-- What the newest commit (or the given one) of the app's source names for a cluster.
select a.app, a.source, a.verdict, a.decided_revision, a.render_failures, a.failed_commit_sha, a.failed_commit_number,
    k.number, k.sha, k.decided_at_ms, k.rendered_at_ms, m.revision, m.outcome,
    (select v.digest from status.variant v where v.revision = m.revision and $2 = any(v.clusters)) as wanted_digest,
    exists (select from status.variant v where v.revision = m.revision) as revision_known,
    w.verdict as revision_verdict, w.reasons, w.failures as verdict_failures
from status.app a
left join lateral (
    select * from status.commit k where k.source = coalesce($3, a.source) and ($4::bigint is null or k.number = $4)
    order by k.number desc limit 1
) k on true
left join status.commit_app m on m.source = k.source and m.number = k.number and m.app = a.app
left join status.verdict w on w.app = a.app and w.revision = m.revision
where a.app = $1

-- name: counters
select (select count(*) from status.source where reachable = false) as unreachable,
    (select count(*) from status.verdict v join status.app a on a.app = v.app and a.decided_revision = v.revision
     where v.verdict = 'held') as held

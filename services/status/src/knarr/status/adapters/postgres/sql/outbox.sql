-- name: unpublished_events
select event_id, kind, cluster, app, message, code, revision, at_ms
from status.event where not published order by number limit $1

-- name: events_published
update status.event set published = true where event_id = any($1::text[])

-- name: unpublished_facts
select * from status.facts where not published order by cluster limit $1

-- name: facts_published
-- Only if it is still what was told.
update status.facts f set published = true
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
    as t(cluster, cluster_uid, kubernetes_version, reported_labels, capabilities)
where f.cluster = t.cluster and f.cluster_uid = t.cluster_uid and f.kubernetes_version = t.kubernetes_version
    and f.reported_labels = t.reported_labels::jsonb and f.capabilities = t.capabilities::jsonb

-- name: republish_facts
update status.facts set published = false
where published and (select count(*) from status.facts where published) > $1

-- name: unpublished_events
select event_id, kind, cluster, app, message, code, revision, at_ms
from status.event where not published order by number limit $1

-- name: events_published
update status.event set published = true where event_id = any($1::text[])

-- name: unpublished_facts
-- What has changed again and again within a while is told once, when the while is over.
select * from status.facts where not published and published_at_ms <= $2 order by cluster limit $1

-- name: facts_published
-- Whatever was told, it was told now; and nothing is left to tell if it is still that.
update status.facts f set published_at_ms = $6, published = (f.cluster_uid = t.cluster_uid
    and f.kubernetes_version = t.kubernetes_version and f.reported_labels = t.reported_labels::jsonb
    and f.capabilities = t.capabilities::jsonb)
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
    as t(cluster, cluster_uid, kubernetes_version, reported_labels, capabilities)
where f.cluster = t.cluster

-- name: republish_facts
update status.facts set published = false, published_at_ms = 0
where published and (select count(*) from status.facts where published) > $1

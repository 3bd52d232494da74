-- name: forget_transitions
delete from status.transition where recorded_at_ms < $1

-- name: forget_deliveries
-- The newest delivery of a placement is its present.
delete from status.delivery d using status.placement p
where d.decided_at_ms < $1 and p.cluster = d.cluster and p.app = d.app and p.assigned_generation > d.generation

-- name: forget_events
delete from status.event where at_ms < $1 and published

-- name: forget_commits
delete from status.commit c
where c.observed_at_ms < $1
    and c.number < (select max(number) from status.commit n where n.source = c.source)
    and not exists (
        select from status.commit_app a join status.placement p on p.assigned_revision = a.revision
        where a.source = c.source and a.number = c.number
    )

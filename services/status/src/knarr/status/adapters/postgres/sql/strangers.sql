-- name: known_apps
select app from status.app where app = any($1::text[])

-- name: remember_strangers
-- At most $5 for a cluster: what is beyond is found in the stream when they are sent away.
insert into status.stranger as s (cluster, app, sequence, first_at_ms)
select t.cluster, t.app, t.sequence, $4
from unnest($1::text[], $2::text[], $3::bigint[]) as t(cluster, app, sequence)
left join (
    select cluster, count(*) as rows from status.stranger where cluster = any($1::text[]) group by cluster
) n on n.cluster = t.cluster
where coalesce(n.rows, 0) < $5
order by t.cluster, t.app
on conflict (cluster, app) do update set sequence = greatest(s.sequence, excluded.sequence)

-- name: mark_strangers
-- The row without an app says that there are more than are remembered: all that is unknown then goes.
insert into status.stranger (cluster, app, sequence, first_at_ms)
select cluster, '', $2, $3 from status.stranger where cluster = any($1::text[])
group by cluster having count(*) >= $4
on conflict do nothing

-- name: strangers_known
select s.cluster, s.app from status.stranger s join status.app a on a.app = s.app order by s.cluster, s.app limit $1

-- name: forget_stranger
delete from status.stranger where cluster = $1 and app = $2

-- name: strangers_overdue
select s.cluster, max(s.sequence) as sequence, bool_or(s.app = '') as more
from status.stranger s
where not exists (select from status.app a where a.app = s.app)
group by s.cluster
having min(s.first_at_ms) < $1 or count(*) >= $2 or bool_or(s.app = '')
order by s.cluster limit $3

-- name: forget_strangers
delete from status.stranger s
where s.cluster = $1 and (s.sequence <= $2 or s.app = '') and not exists (select from status.app a where a.app = s.app)

"""Named SQL. Rows travel as arrays (`unnest`): one statement per table and transaction, whatever the fleet's size."""

from __future__ import annotations

MEMBERS = """
INSERT INTO members (name, in_fleet, uid, sealing_key, signing_key, generation, labels, told, told_ms, raised_ms)
SELECT * FROM unnest($1::text[], $2::bool[], $3::text[], $4::bytea[], $5::bytea[], $6::bigint[], $7::jsonb[],
    $8::text[], $9::bigint[], $10::bigint[])
ON CONFLICT (name) DO UPDATE SET in_fleet = EXCLUDED.in_fleet, uid = EXCLUDED.uid,
    sealing_key = EXCLUDED.sealing_key, signing_key = EXCLUDED.signing_key, generation = EXCLUDED.generation,
    labels = EXCLUDED.labels, told = EXCLUDED.told, told_ms = EXCLUDED.told_ms, raised_ms = EXCLUDED.raised_ms
"""
REVISIONS = """
INSERT INTO revisions (revision, app, body) SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[])
ON CONFLICT (revision) DO NOTHING
"""
INDEXES = """
INSERT INTO indexes (digest, body) SELECT * FROM unnest($1::bytea[], $2::bytea[])
ON CONFLICT (digest) DO UPDATE SET body = EXCLUDED.body
"""
TARGETS = """
INSERT INTO targets (app, source, revision, released, gone, held, judged_by, judged_ms, waiting, holds_told_ms,
    holds_untold, gone_in)
SELECT a, s, r, l, g, h, j, m, ARRAY(SELECT jsonb_array_elements_text(w)), t, u, n
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bool[], $6::bool[], $7::jsonb[], $8::bigint[],
    $9::jsonb[], $10::bigint[], $11::bool[], $12::bigint[]) AS row (a, s, r, l, g, h, j, m, w, t, u, n)
ON CONFLICT (app) DO UPDATE SET source = EXCLUDED.source, revision = EXCLUDED.revision,
    released = EXCLUDED.released, gone = EXCLUDED.gone, gone_in = EXCLUDED.gone_in, held = EXCLUDED.held,
    judged_by = EXCLUDED.judged_by, judged_ms = EXCLUDED.judged_ms, waiting = EXCLUDED.waiting,
    holds_told_ms = EXCLUDED.holds_told_ms, holds_untold = EXCLUDED.holds_untold
"""
DROP_TARGETS = "DELETE FROM targets WHERE app = ANY($1::text[])"
PLACEMENTS = """
INSERT INTO placements (app, cluster, ref, revision, defer_prune, approved, agent_holds, protected)
SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::text[], $5::bool[], $6::bool[], $7::bool[], $8::bool[])
ON CONFLICT (app, cluster) DO UPDATE SET ref = EXCLUDED.ref, revision = EXCLUDED.revision,
    defer_prune = EXCLUDED.defer_prune, approved = EXCLUDED.approved, agent_holds = EXCLUDED.agent_holds,
    protected = EXCLUDED.protected
"""
REMOVALS = """
INSERT INTO removals (app, cluster, since_generation, revision, digest, approved, agent_holds, protected)
SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::bytea[], $6::bool[], $7::bool[], $8::bool[])
ON CONFLICT (app, cluster) DO UPDATE SET since_generation = EXCLUDED.since_generation,
    revision = EXCLUDED.revision, digest = EXCLUDED.digest, approved = EXCLUDED.approved,
    agent_holds = EXCLUDED.agent_holds, protected = EXCLUDED.protected
"""
LEFT = """
INSERT INTO left_objects (app, cluster, objects) SELECT * FROM unnest($1::text[], $2::text[], $3::jsonb[])
ON CONFLICT (app, cluster) DO UPDATE SET objects = EXCLUDED.objects
"""
DEPARTED = """
INSERT INTO departed (app, cluster, left_ms) SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])
ON CONFLICT (app, cluster) DO UPDATE SET left_ms = EXCLUDED.left_ms
"""
DROP = {
    table: f"DELETE FROM {table} t USING unnest($1::text[], $2::text[]) AS d (app, cluster)"  # noqa: S608 - our names
    " WHERE t.app = d.app AND t.cluster = d.cluster"
    for table in ("placements", "removals", "left_objects", "departed")
}
GRANTS = """
INSERT INTO grants (app, target, evidence, approved_ms, clusters)
SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bigint[], $5::jsonb[])
ON CONFLICT (app) DO UPDATE SET target = EXCLUDED.target, evidence = EXCLUDED.evidence,
    approved_ms = EXCLUDED.approved_ms, clusters = EXCLUDED.clusters
"""
DROP_GRANTS = "DELETE FROM grants WHERE app = ANY($1::text[])"
CLEAR_FAILING = "DELETE FROM failing"
FAILING = "INSERT INTO failing (app, clusters, source) VALUES ($1, $2, $3)"
GUARDS = """
INSERT INTO guards (settings, before, commit_number) VALUES ($1, $2, $3)
ON CONFLICT (one) DO UPDATE SET settings = EXCLUDED.settings, before = EXCLUDED.before,
    commit_number = EXCLUDED.commit_number
"""
APPROVAL = "INSERT INTO approvals (revision, actor, reason, evidence) VALUES ($1, $2, $3, $4)"
DECISION = "INSERT INTO decisions (body) VALUES ($1)"
ANSWER = "INSERT INTO answers (command_id, body) VALUES ($1, $2) ON CONFLICT (command_id) DO NOTHING"
OUTGOING = """
INSERT INTO outgoing (cluster, traceparent, spread_seconds, dry_runs)
SELECT * FROM unnest($1::text[], $2::text[], $3::double precision[], $4::jsonb[])
ON CONFLICT (cluster) DO UPDATE SET traceparent = EXCLUDED.traceparent, spread_seconds = EXCLUDED.spread_seconds,
    dry_runs = CASE EXCLUDED.dry_runs WHEN '[]' THEN outgoing.dry_runs ELSE EXCLUDED.dry_runs END
"""
SENT = "DELETE FROM outgoing WHERE cluster = ANY($1::text[])"
DECIDED = "UPDATE decisions SET published = true WHERE number = ANY($1::bigint[])"
ANSWERED = "UPDATE answers SET published = true WHERE command_id = ANY($1::text[])"
FORGET_ANSWERS = "DELETE FROM answers WHERE published AND answered_at < now() - interval '7 days'"
PROGRESS = """
INSERT INTO progress (source, commit_number, facts_number, digest)
SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bytea[])
ON CONFLICT (source) DO UPDATE SET commit_number = EXCLUDED.commit_number, facts_number = EXCLUDED.facts_number,
    digest = EXCLUDED.digest
"""
# A new leader waits here for what the old one has begun; after that, the old one's writes find another term.
NEW_TERM = "UPDATE lead SET term = term + 1 RETURNING term"
TERM = "SELECT term FROM lead FOR SHARE"

TARGETED_REVISIONS = """
SELECT r.revision, r.body FROM revisions r
WHERE r.revision IN (SELECT revision FROM targets UNION SELECT released FROM targets)
"""
INDEX_DIGESTS = "SELECT digest, body FROM indexes WHERE digest = ANY($1::bytea[])"

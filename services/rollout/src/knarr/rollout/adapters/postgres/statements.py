"""Named SQL. Rows travel as arrays (`unnest`): one statement per table and transaction, whatever the fleet's size."""

from __future__ import annotations

MEMBERS = """
INSERT INTO members (name, in_fleet, uid, sealing_key, generation, labels)
SELECT * FROM unnest($1::text[], $2::bool[], $3::text[], $4::bytea[], $5::bigint[], $6::jsonb[])
ON CONFLICT (name) DO UPDATE SET in_fleet = EXCLUDED.in_fleet, uid = EXCLUDED.uid,
    sealing_key = EXCLUDED.sealing_key, generation = EXCLUDED.generation, labels = EXCLUDED.labels
"""
REVISIONS = """
INSERT INTO revisions (revision, app, body) SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[])
ON CONFLICT (revision) DO NOTHING
"""
INDEXES = """
INSERT INTO indexes (digest, body) SELECT * FROM unnest($1::bytea[], $2::bytea[]) ON CONFLICT (digest) DO NOTHING
"""
TARGETS = """
INSERT INTO targets (app, source, revision, released, gone, held)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bool[], $6::bool[])
ON CONFLICT (app) DO UPDATE SET source = EXCLUDED.source, revision = EXCLUDED.revision,
    released = EXCLUDED.released, gone = EXCLUDED.gone, held = EXCLUDED.held
"""
DROP_TARGETS = "DELETE FROM targets WHERE app = ANY($1::text[])"
PLACEMENTS = """
INSERT INTO placements (app, cluster, ref, revision, baseline, defer_prune, approved)
SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::text[], $5::bytea[], $6::bool[], $7::bool[])
ON CONFLICT (app, cluster) DO UPDATE SET ref = EXCLUDED.ref, revision = EXCLUDED.revision,
    baseline = EXCLUDED.baseline, defer_prune = EXCLUDED.defer_prune, approved = EXCLUDED.approved
"""
DROP_PLACEMENTS = """
DELETE FROM placements p USING unnest($1::text[], $2::text[]) AS d (app, cluster)
WHERE p.app = d.app AND p.cluster = d.cluster
"""
REMOVALS = """
INSERT INTO removals (app, cluster, since_generation, revision, baseline)
SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::bytea[])
ON CONFLICT (app, cluster) DO UPDATE SET since_generation = EXCLUDED.since_generation,
    revision = EXCLUDED.revision, baseline = EXCLUDED.baseline
"""
DROP_REMOVALS = """
DELETE FROM removals r USING unnest($1::text[], $2::text[]) AS d (app, cluster)
WHERE r.app = d.app AND r.cluster = d.cluster
"""
CLEAR_FAILING = "DELETE FROM failing"
FAILING = "INSERT INTO failing (app, clusters) VALUES ($1, $2)"
APPROVAL = "INSERT INTO approvals (revision, actor, reason) VALUES ($1, $2, $3)"
DECISION = "INSERT INTO decisions (body) VALUES ($1)"
OUTGOING = """
INSERT INTO outgoing (cluster, traceparent, spread_seconds)
SELECT * FROM unnest($1::text[], $2::text[], $3::double precision[])
ON CONFLICT (cluster) DO UPDATE SET traceparent = EXCLUDED.traceparent, spread_seconds = EXCLUDED.spread_seconds
"""
SENT = "DELETE FROM outgoing WHERE cluster = ANY($1::text[])"
DECIDED = "UPDATE decisions SET published = true WHERE number = ANY($1::bigint[])"
PROGRESS = """
INSERT INTO progress (source, commit_number, facts_number) SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[])
ON CONFLICT (source) DO UPDATE SET commit_number = EXCLUDED.commit_number, facts_number = EXCLUDED.facts_number
"""

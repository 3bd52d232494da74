-- Who is in the fleet, what is wanted, what each cluster was last assigned.
CREATE TABLE members (
    name text PRIMARY KEY,
    in_fleet boolean NOT NULL,
    uid text NOT NULL,
    sealing_key bytea NOT NULL,
    generation bigint NOT NULL,
    labels jsonb NOT NULL
);
-- Append-only: every revision ever seen, in wire form.
CREATE TABLE revisions (
    revision text PRIMARY KEY,
    app text NOT NULL,
    body bytea NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE targets (
    app text PRIMARY KEY,
    source text NOT NULL,
    revision text NOT NULL REFERENCES revisions,
    released text REFERENCES revisions,
    gone boolean NOT NULL,
    held boolean NOT NULL
);
CREATE TABLE failing (
    app text PRIMARY KEY,
    clusters text[] NOT NULL
);
CREATE TABLE indexes (
    digest bytea PRIMARY KEY,
    body bytea NOT NULL
);
CREATE TABLE placements (
    app text NOT NULL,
    cluster text NOT NULL,
    ref bytea NOT NULL,
    revision text NOT NULL,
    baseline bytea NOT NULL,  -- digests of 32 bytes each, oldest first
    defer_prune boolean NOT NULL,
    approved boolean NOT NULL,
    PRIMARY KEY (app, cluster)
);
CREATE TABLE removals (
    app text NOT NULL,
    cluster text NOT NULL,
    since_generation bigint NOT NULL,
    revision text NOT NULL,
    baseline bytea NOT NULL,
    PRIMARY KEY (app, cluster)
);
-- Append-only.
CREATE TABLE approvals (
    revision text NOT NULL,
    actor text NOT NULL,
    reason text NOT NULL,
    approved_at timestamptz NOT NULL DEFAULT now()
);
-- Append-only but for the published flag.
CREATE TABLE decisions (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    body bytea NOT NULL,
    published boolean NOT NULL DEFAULT false
);
CREATE INDEX decisions_unpublished ON decisions (number) WHERE NOT published;
-- Assignments that are decided and not yet known to be in the stream.
CREATE TABLE outgoing (
    cluster text PRIMARY KEY,
    traceparent text NOT NULL,
    spread_seconds double precision NOT NULL
);

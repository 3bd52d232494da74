-- Everything that a decision reads is stored: keys that clusters are bound to, who judged a held target, what left an app
-- in the guard's window, approvals until they are used, the guards, answers to commands, and who leads.
ALTER TABLE members
    ADD COLUMN signing_key bytea NOT NULL DEFAULT '',
    ADD COLUMN told text NOT NULL DEFAULT '',
    ADD COLUMN told_ms bigint NOT NULL DEFAULT 0,
    ADD COLUMN raised_ms bigint NOT NULL DEFAULT 0;
ALTER TABLE targets
    ADD COLUMN gone_in bigint NOT NULL DEFAULT 0,
    ADD COLUMN judged_by jsonb,
    ADD COLUMN judged_ms bigint NOT NULL DEFAULT 0,
    ADD COLUMN waiting text[] NOT NULL DEFAULT '{}',
    ADD COLUMN holds_told_ms bigint NOT NULL DEFAULT 0,
    ADD COLUMN holds_untold boolean NOT NULL DEFAULT false;
ALTER TABLE placements
    DROP COLUMN baseline,
    ADD COLUMN protected boolean NOT NULL DEFAULT false,
    ADD COLUMN agent_holds boolean NOT NULL DEFAULT false;
ALTER TABLE removals
    DROP COLUMN baseline,
    ADD COLUMN digest bytea NOT NULL DEFAULT '',
    ADD COLUMN approved boolean NOT NULL DEFAULT false,
    ADD COLUMN protected boolean NOT NULL DEFAULT false,
    ADD COLUMN agent_holds boolean NOT NULL DEFAULT false;
-- Objects that left an app of a cluster: id → when, Unix milliseconds.
CREATE TABLE left_objects (
    app text NOT NULL,
    cluster text NOT NULL,
    objects jsonb NOT NULL,
    PRIMARY KEY (app, cluster)
);
-- Clusters that an app left unasked.
CREATE TABLE departed (
    app text NOT NULL,
    cluster text NOT NULL,
    left_ms bigint NOT NULL,
    PRIMARY KEY (app, cluster)
);
-- Approvals that are not used up yet; `clusters`: where → the digest (hex) of what was shown to go there.
CREATE TABLE grants (
    app text PRIMARY KEY,
    target text NOT NULL,
    evidence bytea NOT NULL,
    approved_ms bigint NOT NULL,
    clusters jsonb NOT NULL
);
ALTER TABLE approvals ADD COLUMN evidence bytea NOT NULL DEFAULT '';
CREATE TABLE guards (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    settings jsonb NOT NULL,
    before jsonb NOT NULL,
    commit_number bigint NOT NULL
);
ALTER TABLE progress ADD COLUMN digest bytea NOT NULL DEFAULT '';
ALTER TABLE failing ADD COLUMN source text NOT NULL DEFAULT '';
ALTER TABLE outgoing ADD COLUMN dry_runs jsonb NOT NULL DEFAULT '[]';
CREATE TABLE answers (
    command_id text PRIMARY KEY,
    body bytea NOT NULL,
    published boolean NOT NULL DEFAULT false,
    answered_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX answers_unpublished ON answers (command_id) WHERE NOT published;
-- Counts leaders: a write of an older one is refused.
CREATE TABLE lead (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    term bigint NOT NULL
);
INSERT INTO lead (term) VALUES (0);

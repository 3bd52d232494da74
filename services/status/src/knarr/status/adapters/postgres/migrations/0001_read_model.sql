-- The read model. All times are milliseconds since 1970; `*_at_ms` by the hub's clock unless said otherwise.
-- (stream_created, sequence) is the position of the message that a row came from (core/position.py).

-- The same table as core/standing.py; a test holds the two together.
create function status.standing(state text, digest bytea, assigned bytea) returns smallint
language sql immutable parallel safe as $$
    select (case
        when state is null then case when assigned is null then 0 else 2 end
        when assigned is not null and digest is distinct from assigned and state not in ('failed', 'held') then 2
        when state = 'removed' then 0
        when state = 'healthy' then 1
        when state = 'waiting' then 2
        when state = 'progressing' then 3
        when state = 'held' then 4
        when state = 'drifted' then 5
        when state = 'degraded' then 7
        when state = 'failed' then 8
        else 6
    end)::smallint
$$;

create table status.cluster (
    name text collate "C" primary key,
    stream_created bigint not null default 0,
    sequence bigint not null default 0,
    epoch text not null default '',
    uid text not null default '',
    generation_seen bigint not null default 0,
    generation_applied bigint not null default 0,
    agent_version text not null default '',
    start_number bigint not null default 0,
    kubernetes_version text not null default '',
    reported_labels jsonb not null default '{}',
    capabilities jsonb not null default '[]',
    features jsonb not null default '[]',
    failures jsonb not null default '[]',
    app_count int not null default 0,
    reported_at_ms bigint not null default 0, -- agent's clock
    first_heard_at_ms bigint,
    heard_at_ms bigint,
    silent boolean not null default true,
    -- named by the fleet's newest commit; false also while that is unknown
    member boolean not null default false,
    fleet_labels jsonb not null default '{}',
    labels jsonb not null generated always as (fleet_labels || reported_labels) stored
);
create index cluster_heard on status.cluster (heard_at_ms) where not silent;
create index cluster_labels on status.cluster using gin (labels jsonb_path_ops);

-- The fleet commit that the members come from: one row.
create table status.fleet (
    only_row boolean primary key default true check (only_row),
    stream_created bigint not null,
    sequence bigint not null,
    members_digest bytea not null
);

-- One app in one cluster: what it was assigned and what it reports.
create table status.placement (
    cluster text collate "C" not null,
    app text collate "C" not null,
    stream_created bigint not null default 0,
    sequence bigint not null default 0,
    state text,
    digest bytea,
    generation bigint,
    since_ms bigint,      -- agent's clock
    applied_at_ms bigint, -- agent's clock
    message text not null default '',
    failures jsonb not null default '[]',
    unhealthy jsonb not null default '[]',
    drift jsonb not null default '[]',
    adoptions jsonb not null default '[]',
    counts jsonb not null default '{}',
    object_count int not null default 0,
    held_digests jsonb not null default '[]',
    traceparent text not null default '',
    heard_at_ms bigint,
    reached_at_ms bigint, -- first report that names this digest and generation
    healthy_at_ms bigint, -- first report that calls it healthy
    decision_created bigint not null default 0,
    decision_sequence bigint not null default 0,
    assigned_digest bytea,
    assigned_generation bigint,
    assigned_revision text not null default '',
    assigned_at_ms bigint,
    standing smallint not null generated always as (status.standing(state, digest, assigned_digest)) stored,
    primary key (cluster, app)
);
create index placement_app on status.placement (app, standing);
create index placement_trouble on status.placement (standing, cluster) where standing not in (0, 1);

-- Append-only: what agents said happened, by their clock.
create table status.transition (
    cluster text collate "C" not null,
    app text collate "C" not null,
    generation bigint not null,
    at_ms bigint not null,
    state text not null,
    digest bytea not null,
    reason text not null,
    recorded_at_ms bigint not null,
    primary key (cluster, app, generation, at_ms, state)
);
create index transition_age on status.transition (recorded_at_ms);

create table status.source (
    source text collate "C" primary key,
    stream_created bigint not null default 0,
    sequence bigint not null default 0,
    reachable boolean,
    failure jsonb,
    since_ms bigint not null default 0,
    checked_at_ms bigint
);

create table status.commit (
    source text collate "C" not null,
    number bigint not null,
    sha text not null default '',
    ref text not null default '',
    author text not null default '',
    subject text not null default '',
    url text not null default '',
    committed_at_ms bigint not null default 0, -- author's clock
    observed_at_ms bigint not null default 0,
    stored_at_ms bigint,
    file_count int,
    published_bytes bigint,
    published_files int,
    rendered_created bigint not null default 0,
    rendered_sequence bigint not null default 0,
    render_started_at_ms bigint,
    rendered_at_ms bigint,
    renders int,
    cache_hits int,
    blobs_published int,
    outcomes jsonb not null default '[]',
    failures jsonb not null default '[]',
    decision_created bigint not null default 0,
    decision_sequence bigint not null default 0,
    decided_at_ms bigint, -- the first decision on it
    assigned_clusters int,
    trace_id text not null default '',
    primary key (source, number)
);
create index commit_observed on status.commit (observed_at_ms desc);
create index commit_sha on status.commit (sha text_pattern_ops);

-- Which revision of an app a commit names, also when it did not make it.
create table status.commit_app (
    source text collate "C" not null,
    number bigint not null,
    app text collate "C" not null,
    outcome text not null,
    revision text not null,
    code text not null,
    primary key (source, number, app)
);
create index commit_app_revision on status.commit_app (revision);

create table status.revision (
    revision text collate "C" primary key,
    app text collate "C" not null,
    source text collate "C" not null,
    commit_number bigint not null,
    commit_sha text not null,
    fleet_number bigint not null,
    facts_number bigint not null,
    rendered_at_ms bigint not null,
    path text not null
);
create index revision_order on status.revision (app, commit_number desc, fleet_number desc, facts_number desc);

create table status.variant (
    revision text collate "C" not null references status.revision on delete cascade,
    digest bytea not null,
    object_count int not null,
    clusters text[] not null,
    primary key (revision, digest)
);
create index variant_digest on status.variant (digest);

create table status.bundle (
    digest bytea primary key,
    object_ids text[] not null,
    protected_ids text[] not null
);

create table status.app (
    app text collate "C" primary key,
    source text not null default '',
    path text not null default '',
    gone boolean not null default false,
    stream_created bigint not null default 0,
    sequence bigint not null default 0,
    revision text not null default '', -- the newest rendered
    -- the newest failure to render; empty when the newest commit rendered
    failed_created bigint not null default 0,
    failed_sequence bigint not null default 0,
    failed_commit_number bigint,
    failed_commit_sha text not null default '',
    render_failures jsonb not null default '[]',
    -- the newest decision on it
    decision_created bigint not null default 0,
    decision_sequence bigint not null default 0,
    verdict text not null default '',
    decided_revision text not null default '',
    decided_at_ms bigint
);

-- What rollout decided on a revision (or a removal); the newest word.
create table status.verdict (
    app text collate "C" not null,
    revision text collate "C" not null,
    stream_created bigint not null,
    sequence bigint not null,
    verdict text not null,
    decided_at_ms bigint not null,
    held_since_ms bigint,
    command_id text not null default '',
    clusters text[] not null,
    reasons jsonb not null,
    losses jsonb not null,
    failures jsonb not null,
    variants jsonb not null,
    -- the commit of the first decision on it: what caused a removal, which has no revision of its own
    source text not null,
    commit_number bigint not null,
    primary key (app, revision)
);
create index verdict_word on status.verdict (verdict, decided_at_ms desc);

-- Append-only: one line per decision.
create table status.decision (
    epoch text not null,
    number bigint not null,
    source text not null,
    commit_number bigint not null,
    decided_at_ms bigint not null,
    command_id text not null,
    failures jsonb not null,
    detached text[] not null,
    unenrolled text[] not null,
    primary key (epoch, number)
);

-- One change of one app in one cluster: assigned by a decision, reached and healthy by reports, in any order.
create table status.delivery (
    cluster text collate "C" not null,
    generation bigint not null,
    app text collate "C" not null,
    digest bytea,
    source text,
    commit_number bigint,
    decided_at_ms bigint,
    reached_at_ms bigint,
    healthy_at_ms bigint,
    primary key (cluster, generation, app)
);
create index delivery_commit on status.delivery (source, commit_number);
create index delivery_age on status.delivery (decided_at_ms);

create table status.event (
    number bigint generated always as identity primary key,
    event_id text not null unique,
    kind text not null,
    cluster text not null,
    app text not null,
    message text not null,
    code text not null,
    revision text not null,
    at_ms bigint not null,
    published boolean not null default false
);
create index event_unpublished on status.event (number) where not published;
create index event_cluster on status.event (cluster, number desc);
create index event_app on status.event (app, number desc);

-- What was told about a cluster on FACTS, and whether the newest of it was published.
create table status.facts (
    cluster text collate "C" primary key,
    cluster_uid text not null,
    kubernetes_version text not null,
    reported_labels jsonb not null,
    capabilities jsonb not null,
    enrolled_at_ms bigint not null,
    published boolean not null default false
);
create index facts_unpublished on status.facts (cluster) where not published;

-- Report subjects of removed apps that wait to be purged from the stream.
create table status.purge (
    cluster text collate "C" not null,
    app text collate "C" not null,
    stream_created bigint not null,
    sequence bigint not null,
    recorded_at_ms bigint not null,
    primary key (cluster, app)
);

-- Operator commands that went through this API, for the audit.
create table status.command (
    command_id text primary key,
    verb text not null,
    revision text not null,
    cluster text not null,
    app text not null,
    actor text not null,
    reason text not null,
    asked_at_ms bigint not null,
    accepted boolean,
    failure jsonb,
    handled_at_ms bigint
);

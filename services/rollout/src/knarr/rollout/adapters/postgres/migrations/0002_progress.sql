-- How far rollout has come with each source: what is older concludes nothing about the fleet.
CREATE TABLE progress (
    source text PRIMARY KEY,
    commit_number bigint NOT NULL,
    facts_number bigint NOT NULL
);

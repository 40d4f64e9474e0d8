-- Forms are named for how they are read, not for one kind of system.
UPDATE delivery SET format = 'mapped_csv' WHERE format = 'crm_csv';
UPDATE delivery SET format = 'mapped_json' WHERE format = 'crm_json';

-- Where each page of a document begins, as a JSON list of byte offsets.
ALTER TABLE document ADD COLUMN pages TEXT NOT NULL DEFAULT '[]';

-- How records come in: a JSON object; null when senders push.
ALTER TABLE source ADD COLUMN feed TEXT;

-- What a feed remembers between two runs: a cursor, a list of files, a running export. Written after what it
-- stands for has landed, so that a run that is broken off is taken up again and never skips.
CREATE TABLE feed_state (
    tenant     TEXT NOT NULL,
    source     TEXT NOT NULL,
    name       TEXT NOT NULL,
    state      TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, source, name)
);

-- How the last run of each feed went, for people; holds no record's content.
CREATE TABLE feed_run (
    tenant      TEXT NOT NULL,
    source      TEXT NOT NULL,
    started_at  BIGINT NOT NULL,
    ended_at    BIGINT,
    landed      BIGINT NOT NULL,
    error       TEXT,
    failures    BIGINT NOT NULL,
    PRIMARY KEY (tenant, source)
);

-- Two records of one person: `merged` was said to be `stated`, and so belongs to `survivor`, which is found by
-- following what was stated to its end. Of each patient the latest statement is kept.
CREATE TABLE patient_merge (
    tenant    TEXT NOT NULL,
    merged    TEXT NOT NULL,
    stated    TEXT NOT NULL,
    survivor  TEXT NOT NULL,
    merged_at BIGINT NOT NULL,
    receipt   TEXT NOT NULL,
    PRIMARY KEY (tenant, merged)
);
CREATE INDEX patient_merge_by_stated ON patient_merge (tenant, stated);
CREATE INDEX patient_merge_by_survivor ON patient_merge (tenant, survivor);

-- Times are microseconds since 1970 in UTC. Column types are those that SQLite and PostgreSQL both take,
-- but for BLOB, which PostgreSQL calls BYTEA.

-- Numbers handed out in commit order: the row lock makes the order the commits' own.
CREATE TABLE counter (
    name  TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);

CREATE TABLE source (
    tenant        TEXT NOT NULL,
    name          TEXT NOT NULL,
    patients      TEXT NOT NULL,
    warn_after_s  BIGINT NOT NULL,
    error_after_s BIGINT NOT NULL,
    mapping       TEXT,
    last_received_at   BIGINT,
    newest_source_time BIGINT,
    PRIMARY KEY (tenant, name)
);

-- What was sent, verbatim (zstd), before it is acknowledged.
CREATE TABLE delivery (
    receipt      TEXT PRIMARY KEY,
    sequence     BIGINT NOT NULL UNIQUE,
    tenant       TEXT NOT NULL,
    source       TEXT NOT NULL,
    format       TEXT NOT NULL,
    name         TEXT,
    sha256       TEXT NOT NULL,
    bytes        BLOB NOT NULL,
    size         BIGINT NOT NULL,
    received_at  BIGINT NOT NULL,
    state        TEXT NOT NULL,
    last_change  BIGINT,
    account      TEXT
);
CREATE INDEX delivery_by_state ON delivery (state, sequence);

-- Every version of every document; the highest version is the document's present state.
CREATE TABLE document (
    tenant          TEXT NOT NULL,
    id              TEXT NOT NULL,
    version         BIGINT NOT NULL,
    is_latest       BIGINT NOT NULL,
    source          TEXT NOT NULL,
    source_key      TEXT NOT NULL,
    source_version  TEXT,
    kind            TEXT NOT NULL,
    resource_type   TEXT NOT NULL,
    patient         TEXT,
    encounter       TEXT,
    title           TEXT NOT NULL,
    author          TEXT,
    effective_at    BIGINT,
    source_time     BIGINT,
    received_at     BIGINT NOT NULL,
    confidentiality TEXT NOT NULL,
    sensitivity     TEXT NOT NULL,
    status          TEXT NOT NULL,
    text            TEXT NOT NULL,
    sections        TEXT NOT NULL,
    content_hash    TEXT NOT NULL,
    receipt         TEXT NOT NULL,
    ordinal         BIGINT NOT NULL,
    PRIMARY KEY (tenant, id, version)
);
CREATE INDEX document_by_patient ON document (tenant, patient, is_latest, kind);
CREATE INDEX document_by_source ON document (tenant, source, is_latest);

CREATE TABLE fact (
    tenant       TEXT NOT NULL,
    document     TEXT NOT NULL,
    version      BIGINT NOT NULL,
    ordinal      BIGINT NOT NULL,
    kind         TEXT NOT NULL,
    code_system  TEXT,
    code         TEXT,
    display      TEXT NOT NULL,
    value_number DOUBLE PRECISION,
    value_text   TEXT,
    unit         TEXT,
    status       TEXT,
    effective_at BIGINT,
    span_start   BIGINT NOT NULL,
    span_end     BIGINT NOT NULL,
    PRIMARY KEY (tenant, document, version, ordinal)
);

-- The spine: one row for each document version that came or went, numbered in commit order.
CREATE TABLE change (
    sequence   BIGINT PRIMARY KEY,
    tenant     TEXT NOT NULL,
    document   TEXT NOT NULL,
    version    BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    -- When the delivery that brought it was received, for event-to-searchable.
    received_at BIGINT NOT NULL
);

CREATE TABLE quarantine (
    id             TEXT PRIMARY KEY,
    tenant         TEXT NOT NULL,
    source         TEXT NOT NULL,
    receipt        TEXT NOT NULL,
    ordinal        BIGINT NOT NULL,
    reason         TEXT NOT NULL,
    detail         TEXT NOT NULL,
    bytes          BLOB NOT NULL,
    size           BIGINT NOT NULL,
    quarantined_at BIGINT NOT NULL,
    state          TEXT NOT NULL,
    UNIQUE (receipt, ordinal)
);
CREATE INDEX quarantine_by_tenant ON quarantine (tenant, id);

CREATE TABLE finding (
    tenant     TEXT NOT NULL,
    receipt    TEXT NOT NULL,
    ordinal    BIGINT NOT NULL,
    number     BIGINT NOT NULL,
    source     TEXT NOT NULL,
    document   TEXT,
    rule       TEXT NOT NULL,
    severity   TEXT NOT NULL,
    path       TEXT NOT NULL,
    found_at   BIGINT NOT NULL,
    PRIMARY KEY (tenant, receipt, ordinal, number)
);

-- By model revision and hash of the embedded text, so that copied or unchanged text is never embedded twice.
CREATE TABLE embedding (
    model  TEXT NOT NULL,
    hash   TEXT NOT NULL,
    vector BLOB NOT NULL,
    PRIMARY KEY (model, hash)
);

CREATE TABLE job (
    id               TEXT PRIMARY KEY,
    tenant           TEXT NOT NULL,
    target           TEXT NOT NULL,
    state            TEXT NOT NULL,
    done             BIGINT NOT NULL,
    total            BIGINT NOT NULL,
    cancel_requested BIGINT NOT NULL,
    error            TEXT,
    created_at       BIGINT NOT NULL,
    ended_at         BIGINT
);
CREATE INDEX job_by_state ON job (state, id);

-- One row for each read of records, written before its answer leaves. Never holds a query's text.
CREATE TABLE audit (
    sequence   BIGINT PRIMARY KEY,
    tenant     TEXT NOT NULL,
    at         BIGINT NOT NULL,
    caller     TEXT NOT NULL,
    client     TEXT,
    purpose    TEXT,
    action     TEXT NOT NULL,
    patient    TEXT,
    documents  TEXT NOT NULL,
    outcome    TEXT NOT NULL,
    request_id TEXT NOT NULL
);

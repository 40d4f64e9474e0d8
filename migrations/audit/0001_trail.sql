-- The audit trail. A row is written before its answer leaves, so it touches few pages: its number is the row's own, and
-- there is no index beside it. Times are microseconds since 1970 in UTC. Each row's hash covers the row and the hash
-- before it.
CREATE TABLE audit (
    sequence    INTEGER PRIMARY KEY,
    tenant      TEXT NOT NULL,
    at          BIGINT NOT NULL,
    caller      TEXT NOT NULL,
    client      TEXT,
    purpose     TEXT,
    action      TEXT NOT NULL,
    patient     TEXT,
    documents   TEXT NOT NULL,
    outcome     TEXT NOT NULL,
    request_id  TEXT NOT NULL,
    class       TEXT NOT NULL,
    break_glass TEXT,
    hash        TEXT
);

-- Where the chain begins once rows past their retention were removed: the last of them, and its hash.
CREATE TABLE audit_cut (
    sequence INTEGER PRIMARY KEY,
    hash     TEXT NOT NULL,
    cut_at   BIGINT NOT NULL
);

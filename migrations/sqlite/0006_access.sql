-- Codes by which a granular scope or a consent names a record: lines of `parameter=system|code`.
ALTER TABLE document ADD COLUMN codes TEXT NOT NULL DEFAULT '';

-- Whom a caller's `user/` scopes reach. A caller with a row here and no patients reaches nobody.
CREATE TABLE roster (
    tenant     TEXT NOT NULL,
    caller     TEXT NOT NULL,
    patients   TEXT NOT NULL,
    updated_by TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, caller)
);

-- Tokens taken back: one by its `jti`, or all that a caller was issued until then.
CREATE TABLE revocation (
    tenant     TEXT NOT NULL,
    kind       TEXT NOT NULL,
    value      TEXT NOT NULL,
    revoked_at BIGINT NOT NULL,
    revoked_by TEXT NOT NULL,
    PRIMARY KEY (tenant, kind, value)
);

-- Glasses broken, kept for the report when they are over.
CREATE TABLE break_glass (
    id         TEXT PRIMARY KEY,
    tenant     TEXT NOT NULL,
    caller     TEXT NOT NULL,
    client     TEXT,
    patient    TEXT NOT NULL,
    purpose    TEXT NOT NULL,
    reason     TEXT NOT NULL,
    categories TEXT NOT NULL,
    facility   TEXT,
    opened_at  BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX break_glass_by_tenant ON break_glass (tenant, opened_at);

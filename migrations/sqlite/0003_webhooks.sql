-- Signed posts that have landed, so that one sent again has no second effect; kept until it would be refused anyway.
CREATE TABLE webhook_seen (
    tenant     TEXT NOT NULL,
    source     TEXT NOT NULL,
    digest     TEXT NOT NULL,
    receipt    TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, source, digest)
);
CREATE INDEX webhook_seen_by_expiry ON webhook_seen (expires_at);

-- Files that a feed has met: how much of which version of each has landed.
CREATE TABLE feed_file (
    tenant     TEXT NOT NULL,
    source     TEXT NOT NULL,
    path       TEXT NOT NULL,
    -- Size and time, or the object store's own mark: a file with another one is another file.
    version    TEXT NOT NULL,
    -- Slices of it that have landed, in order.
    slices     BIGINT NOT NULL,
    state      TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, source, path)
);

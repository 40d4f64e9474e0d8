-- Patients whose records are to go, or went. While one is under way nobody sees them.
CREATE TABLE erasure (
    id           TEXT PRIMARY KEY,
    tenant       TEXT NOT NULL,
    -- Every id that the person goes by, as a JSON list.
    patients     TEXT NOT NULL,
    reason       TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    requested_at BIGINT NOT NULL,
    -- The last delivery that had landed then: what lands later is other data.
    last_delivery BIGINT NOT NULL,
    state        TEXT NOT NULL,
    certificate  TEXT
);
CREATE INDEX erasure_under_way ON erasure (state, id);

-- Patients whose records must be kept, whoever asks for them to go.
CREATE TABLE legal_hold (
    tenant    TEXT NOT NULL,
    patient   TEXT NOT NULL,
    reason    TEXT NOT NULL,
    placed_by TEXT NOT NULL,
    placed_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, patient)
);

-- What is left of a delivery of which records were erased: these, in their places, and no other bytes.
CREATE TABLE delivery_remainder (
    receipt TEXT NOT NULL,
    ordinal BIGINT NOT NULL,
    bytes   BLOB NOT NULL,
    size    BIGINT NOT NULL,
    PRIMARY KEY (receipt, ordinal)
);
ALTER TABLE delivery ADD COLUMN is_remainder BIGINT NOT NULL DEFAULT 0;

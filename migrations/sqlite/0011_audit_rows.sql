-- A row of the audit trail is written before its answer leaves, so it should touch few pages: its number is the row's
-- own, without an index beside it, and the index by patient goes, which no question could use, since a patient is named
-- by the row or by one of its documents.
DROP TRIGGER audit_number;
DROP INDEX audit_by_patient;

CREATE TABLE audit_rows (
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
    class       TEXT NOT NULL DEFAULT 'read',
    break_glass TEXT,
    hash        TEXT
);
INSERT INTO audit_rows (sequence, tenant, at, caller, client, purpose, action, patient, documents, outcome, request_id,
    class, break_glass, hash)
SELECT sequence, tenant, at, caller, client, purpose, action, patient, documents, outcome, request_id, class,
    break_glass, hash FROM audit;
DROP TABLE audit;
ALTER TABLE audit_rows RENAME TO audit;

CREATE TRIGGER audit_number AFTER INSERT ON audit
BEGIN
    UPDATE counter SET value = NEW.sequence WHERE name = 'audit';
END;

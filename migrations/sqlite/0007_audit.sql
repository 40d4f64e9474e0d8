-- Each row's hash covers the row and the hash before it: an edit, a cut, another order or an insertion breaks it.
ALTER TABLE audit ADD COLUMN class TEXT NOT NULL DEFAULT 'read';
ALTER TABLE audit ADD COLUMN break_glass TEXT;
ALTER TABLE audit ADD COLUMN hash TEXT;
CREATE INDEX audit_by_patient ON audit (tenant, patient, sequence);

-- Where the chain begins once rows past their retention were removed: the last of them, and its hash.
CREATE TABLE audit_cut (
    sequence BIGINT PRIMARY KEY,
    hash     TEXT NOT NULL,
    cut_at   BIGINT NOT NULL
);

-- The patient that the record itself names, where it belongs to another since; null when that is `patient`.
ALTER TABLE document ADD COLUMN stated_patient TEXT;

-- The document that this one is a further part of, as a second attachment is; null for the record itself.
ALTER TABLE document ADD COLUMN part_of TEXT;
CREATE INDEX document_by_key ON document (tenant, source, source_key);
UPDATE document SET part_of = (
    SELECT base.id FROM document base WHERE base.tenant = document.tenant AND base.source = document.source
    AND base.source_key = substr(document.source_key, 1, instr(document.source_key, '#') - 1) LIMIT 1
) WHERE source_key LIKE '%#%' AND EXISTS (
    SELECT 1 FROM delivery WHERE delivery.receipt = document.receipt AND delivery.format IN ('fhir_json', 'fhir_ndjson')
);
DROP INDEX document_by_key;
CREATE INDEX document_parts ON document (tenant, part_of) WHERE part_of IS NOT NULL AND is_latest = 1;

-- Deliveries that wait are few beside those that were read; their sizes are added up without touching the bytes.
DROP INDEX delivery_by_state;
CREATE INDEX delivery_waiting ON delivery (sequence, size) WHERE state = 'landed';
CREATE INDEX delivery_set_aside ON delivery (sequence) WHERE state = 'failed';

-- How often a delivery could not be written or read back, and why in the end it was set aside.
ALTER TABLE delivery ADD COLUMN attempts BIGINT NOT NULL DEFAULT 0;
ALTER TABLE delivery ADD COLUMN failure TEXT;

-- How far a long delivery has been read; the row goes with its last record.
CREATE TABLE reading_progress (
    receipt     TEXT PRIMARY KEY,
    records     BIGINT NOT NULL,
    last_change BIGINT,
    account     TEXT NOT NULL
);

-- The number of the newest row of the audit trail keeps pace by itself, so that appending is one statement.
INSERT INTO counter (name, value)
SELECT 'audit', COALESCE((SELECT MAX(sequence) FROM audit), (SELECT MAX(sequence) FROM audit_cut), 0)
WHERE NOT EXISTS (SELECT 1 FROM counter WHERE name = 'audit');

CREATE TRIGGER audit_number AFTER INSERT ON audit
BEGIN
    UPDATE counter SET value = NEW.sequence WHERE name = 'audit';
END;

-- What a caller may not see of a patient's is not even looked at: how much there is of it would show in time.
CREATE INDEX document_by_label ON document (tenant, patient, is_latest, status, sensitivity, confidentiality);

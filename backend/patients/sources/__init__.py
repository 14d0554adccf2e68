"""What other systems know of patients, read from FHIR and CSV into plain records: no models, no database, no clock."""

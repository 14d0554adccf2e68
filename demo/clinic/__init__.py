"""The French demo clinic, as the FHIR files that its practice software would export."""

"""The export of a log that anybody can verify: see docs/reference/audit-bundle.md."""

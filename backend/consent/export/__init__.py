"""The export of consents and of everything that happened to them: see docs/reference/consent-export.md."""

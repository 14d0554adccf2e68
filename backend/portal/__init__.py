"""Patients' own pages. For now the start page."""

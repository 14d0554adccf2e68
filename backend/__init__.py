"""Accord: a clinic keeps in touch with its patients, only where the patient said yes."""

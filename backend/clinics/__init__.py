"""The clinics on this installation, strictly apart, and who works in which."""

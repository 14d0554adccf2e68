"""What Accord brings along: purposes, a notice, programmes and their words, for a clinic to check and approve."""

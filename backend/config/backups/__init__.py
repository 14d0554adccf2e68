"""Backups: the data without the wrapped keys, and the wrapped keys apart; and how both are brought back."""

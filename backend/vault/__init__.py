"""Ciphers, key providers, sealed fields and the blind index. Stores nothing itself and writes no audit entry."""

"""The encrypted, append-only log of every action, and the guard that lets nothing change without an entry."""

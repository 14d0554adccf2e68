"""The ledger of what is being handed over right now: ids only, leases, the drain, and what is left in doubt."""

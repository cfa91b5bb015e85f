"""The ledger: one contract for every store."""

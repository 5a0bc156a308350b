"""The ledger: tables, sessions, migrations."""

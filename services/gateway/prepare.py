"""`python -m services.gateway.prepare`: what `neuroscan up` does once before a gateway starts."""

import sys

from neuroscan.settings import DatabaseSettings
from services.gateway.auth import local_key
from services.gateway.db.migrate import TablesHeld, prepare

if __name__ == "__main__":
    try:
        prepare(DatabaseSettings())
    except TablesHeld as held:
        sys.exit(f"prepare: {held}")
    local_key.main()

"""`python -m services.gateway.prepare`: what `neuroscan up` does once before a gateway starts."""

from neuroscan.settings import DatabaseSettings
from services.gateway.auth import local_key
from services.gateway.db.migrate import prepare

if __name__ == "__main__":
    prepare(DatabaseSettings())
    local_key.main()

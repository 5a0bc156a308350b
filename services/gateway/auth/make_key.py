"""`python -m services.gateway.auth.make_key NAME ROLE`: an API key from the server's own shell.

For an installation's first key; further ones come from `POST /v1/keys` or `neuroscan keys`.
"""

import argparse

from neuroscan.contracts.access import KeyCreate
from neuroscan.contracts.enums import Role
from neuroscan.settings import DatabaseSettings, SecretSettings
from services.gateway.auth.principal import Principal
from services.gateway.auth.secrets import ServerSecret
from services.gateway.auth.service import AccessService
from services.gateway.db.session import make_engine

_OPERATOR = Principal(id="operator", role=Role.ADMIN)


def main() -> None:
    """Print a new key."""
    parser = argparse.ArgumentParser(prog="python -m services.gateway.auth.make_key")
    parser.add_argument("name", help="what the key is for, never a person's name")
    parser.add_argument("role", type=Role, choices=list(Role), metavar="|".join(Role))
    arguments = parser.parse_args()
    engine = make_engine(DatabaseSettings().database_url, pool_size=1)
    access = AccessService(engine, ServerSecret(SecretSettings().read()))
    made = access.create_key(KeyCreate(name=arguments.name, role=arguments.role), _OPERATOR)
    print(made.key)
    engine.dispose()


if __name__ == "__main__":
    main()

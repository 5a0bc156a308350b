"""`python -m services.gateway.auth.local_key`: the key of this machine's owner.

Makes the key in `LOCAL_KEY_FILE` valid, and the file (mode 0600) where there is none.
"""

import os
from pathlib import Path

from neuroscan.contracts.enums import Role
from neuroscan.settings import DatabaseSettings, SecretSettings
from services.gateway.auth.secrets import ServerSecret, new_token
from services.gateway.auth.service import KEY_PREFIX, AccessService
from services.gateway.db.session import make_engine

LOCAL_KEY_ID = "local"


def ensure_local_key(access: AccessService, file: Path) -> str:
    """The key in the file, made where there is none, and valid from now on."""
    if file.exists():
        text = file.read_text(encoding="ascii").strip()
    else:
        text = f"{KEY_PREFIX}_{LOCAL_KEY_ID}_{new_token()}"
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as handle:
            handle.write(text + "\n")
    access.put_key(LOCAL_KEY_ID, "this machine", Role.ADMIN, text)
    return text


def main() -> None:
    """Make sure of the local key."""
    engine = make_engine(DatabaseSettings().database_url, pool_size=1)
    access = AccessService(engine, ServerSecret(SecretSettings().read()))
    ensure_local_key(access, Path(os.environ["LOCAL_KEY_FILE"]))
    engine.dispose()


if __name__ == "__main__":
    main()

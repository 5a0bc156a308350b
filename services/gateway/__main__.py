"""`python -m services.gateway`: serve the public API."""

import os
import sys

import uvicorn

from neuroscan.metrics import serve_metrics
from neuroscan.settings import (
    BrokerSettings,
    GatewaySettings,
    OidcSettings,
    SecretSettings,
    StoreSettings,
    WebhookSettings,
)
from neuroscan.telemetry import configure_logs
from neuroscan.tracing import begin_tracing
from services.gateway.app import create_app


def main() -> None:
    """Serve until SIGTERM."""
    host = os.environ.get("HOST", "127.0.0.1")
    port = int(os.environ.get("PORT", "8000"))
    try:
        SecretSettings().read()
        GatewaySettings()
        BrokerSettings()
        StoreSettings()
        OidcSettings()
        WebhookSettings()
    except (ValueError, OSError) as error:
        sys.exit(f"gateway: {error}")
    configure_logs("gateway")
    begin_tracing("gateway")
    serve_metrics()
    app = create_app()
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        # Waits and streams end at once; an upload that is under way may go on for so long.
        timeout_graceful_shutdown=int(os.environ.get("DRAIN_SECONDS", "5")),
        server_header=False,
    )
    server = uvicorn.Server(config)
    # Long polls end with the server's first signal.
    app.state.stopping = lambda: server.should_exit
    server.run()


if __name__ == "__main__":
    main()

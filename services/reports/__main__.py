"""`python -m services.reports`: serve on `HOST` (127.0.0.1) and `PORT` (8002)."""

from neuroscan.serving import serve
from neuroscan.telemetry import configure_logs
from neuroscan.tracing import begin_tracing
from services.reports.app import create_app

# Above the 45 s that a summary may take, below its container's grace period.
DRAIN_S = 47


def main() -> None:
    """Serve until SIGTERM or Ctrl-C; reports under way are finished first."""
    configure_logs("reports")
    begin_tracing("reports")
    serve(create_app(), default_port=8002, drain_s=DRAIN_S)


if __name__ == "__main__":
    main()

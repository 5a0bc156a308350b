"""`python -m services.inference`: serve on `HOST` (127.0.0.1) and `PORT` (8001)."""

from neuroscan.serving import serve
from neuroscan.settings import InferenceSettings
from neuroscan.telemetry import configure_logs
from neuroscan.tracing import begin_tracing
from services.inference.app import DRAIN_S, build_app


def main() -> None:
    """Serve until SIGTERM or Ctrl-C; what is in work is finished first."""
    configure_logs("inference")
    begin_tracing("inference")
    serve(build_app(InferenceSettings()), default_port=8001, drain_s=DRAIN_S)


if __name__ == "__main__":
    main()

"""Tool `ui`: open MLflow on this pipeline's runs."""

from typing import Annotated

import typer

Port = Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")]


def main(port: Port = 5000) -> None:
    """Show this pipeline's runs in MLflow, on 127.0.0.1 only."""
    import os
    import socket
    import subprocess
    import sys

    from spa.addresses import without_login
    from spa.errors import SpaError
    from spa.layout import Layout
    from spa.tracking.server import tracking_uri

    uri = tracking_uri(Layout.find())
    if uri.startswith(("http://", "https://")):
        shown = without_login(uri, uri)
        print(f"runs are kept on the server at {shown} (MLFLOW_TRACKING_URI); open it there")
        return
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise SpaError(f"ui: port {port} is in use; choose another with --port") from error
    print(f"MLflow: http://127.0.0.1:{port} (experiment spa; compare pipelines under Charts)")
    server = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
    command = [*server, "--port", str(port), "--workers", "1"]
    own = {**os.environ, "MLFLOW_BACKEND_STORE_URI": uri}  # a command line can be read by all
    raise SystemExit(subprocess.run(command, env=own, check=False).returncode)

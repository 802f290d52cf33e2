"""`python -m oidc_server PORT`: serve on this port of 127.0.0.1 until the process ends."""

import sys

import uvicorn

from oidc_server.app import create_app

port = int(sys.argv[1])
uvicorn.run(create_app(f"http://127.0.0.1:{port}"), host="127.0.0.1", port=port, log_config=None, ws="none")

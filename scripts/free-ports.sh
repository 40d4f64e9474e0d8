#!/usr/bin/env bash
# Prints two TCP ports of the loopback interface that nobody listens on.
set -euo pipefail
python3 - <<'PYTHON'
import socket

sockets = [socket.socket() for _ in range(2)]
for one in sockets:
    one.bind(("127.0.0.1", 0))
print(*(one.getsockname()[1] for one in sockets))
PYTHON

"""LocalStack: an S3 and KMS that enforces object locks and key states, in a Python environment and a network namespace of its own.

Its versions exclude ours, so it has a lock of its own (``localstack.lock``) and an environment beside ours, made once. Where that
cannot be had, `ServerUnavailable` says so. moto is quicker and lets pass what AWS refuses: locks shortened, keys that were
disabled, deletes of a suspended bucket. Tests of these mean nothing there and run here only.

The lock was made with:

    uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-emit-index-url --override <(echo 'tailer; python_version < "3"')

from ``localstack-core[base-runtime]==4.8.1``, ``cbor2<5.7``, ``cryptography<46``, ``pyopenssl<25.2`` and ``service_identity<25``. tailer
has no wheel, and nothing imports it.
"""

import contextlib
import fcntl
import hashlib
import http.client
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.servers.process import ServerUnavailable, home, serving

ROOT = Path(__file__).parents[2]
ENVIRONMENT = ROOT / ".venv-localstack"
LOCK = Path(__file__).with_name("localstack.lock")
INSIDE = 4566
_INSTALL = ("-m", "pip", "install", "-qq", "--no-deps", "--only-binary", ":all:", "--require-hashes", "-r", str(LOCK))  # fmt: skip


@contextlib.contextmanager
def localstack() -> Iterator[str]:
    """The address of a running server, stopped afterwards. Raises ServerUnavailable and ServerFailed."""
    python = environment()
    isolated = subprocess.run(["unshare", "-rn", "true"], check=False, capture_output=True)
    if isolated.returncode != 0:
        raise ServerUnavailable("LocalStack needs a network namespace of its own: allow unshare -rn")
    with home("ls", "") as place:
        settings = {
            "SERVICES": "s3,kms,sts",
            "S3_SKIP_KMS_KEY_VALIDATION": "0",
            "FILESYSTEM_ROOT": str(place.directory / "files"),
            "DISABLE_EVENTS": "1",
            "SKIP_SSL_CERT_DOWNLOAD": "1",
            "EAGER_SERVICE_LOADING": "1",
            "LS_LOG": "warning",
        }

        def command(port: int) -> list[str]:
            return [
                "env", *(f"{name}={value}" for name, value in settings.items()),
                sys.executable, "-I", str(Path(__file__).with_name("namespace.py")), str(port), str(INSIDE),
                str(python), "-m", "localstack.runtime.main",
            ]  # fmt: skip

        with serving(place, command, answers, signal.SIGTERM) as port:
            yield f"http://127.0.0.1:{port}"


def environment() -> Path:
    """The Python of LocalStack's environment, made when it is missing or its lock has changed. Raises ServerUnavailable."""
    python = ENVIRONMENT / "bin" / "python"
    stamp = ENVIRONMENT / ".installed"
    wanted = hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()
    # Several workers of one test run ask at once: the first makes it, the others wait.
    with (ROOT / ".venv-localstack.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == wanted:
            return python
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        quiet = os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}
        for step in ((sys.executable, "-m", "venv", str(ENVIRONMENT)), (str(python), *_INSTALL)):
            done = subprocess.run(
                step, check=False, env=quiet, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
            if done.returncode != 0:
                raise ServerUnavailable(
                    "LocalStack's locked packages could not be installed into .venv-localstack"
                )
        stamp.write_text(wanted)
    return python


def answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/_localstack/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()

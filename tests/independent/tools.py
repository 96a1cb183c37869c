"""Programs that others wrote, for checking what we made. Refuses to leave one out silently."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

GO_PATH = Path("/usr/share/gocode")
SUMDB = GO_PATH / "src/golang.org/x/mod/sumdb/tlog"
NODE_PACKAGE = "@sigstore/core@3.2.1"


def left_out(what: str, remedy: str) -> None:
    """In CI a failure; elsewhere a skip that says what to install."""
    told = f"{what} is not installed: {remedy}"
    if os.environ.get("CI", "").lower() in {"true", "1"}:
        pytest.fail(f"CI must have this program: {told}", pytrace=False)
    pytest.skip(f"left out, {told}")


def require(program: str, package: str) -> None:
    if shutil.which(program) is None:
        left_out(program, f"apt-get install --no-install-recommends {package}")


def sumdb_verifier(folder: Path) -> Path:
    """Our small Go program around the packages ``note`` and ``tlog`` of Go's checksum database, built offline."""
    require("go", "golang-go")
    if not SUMDB.is_dir():
        left_out("golang.org/x/mod/sumdb", "apt-get install --no-install-recommends golang-golang-x-mod-dev")
    program = folder / "sumdb"
    environment = os.environ | {
        "GO111MODULE": "off", "GOPATH": str(GO_PATH), "GOCACHE": str(folder / "cache"), "GOFLAGS": "", "CGO_ENABLED": "0",
    }  # fmt: skip
    source = Path(__file__).parent / "sumdb" / "main.go"
    subprocess.run(["go", "build", "-o", program, source], env=environment, check=True, capture_output=True)
    return program


def node_package(folder: Path) -> Path:
    """A folder with `NODE_PACKAGE` in it, fetched by the package manager; no script of it is run."""
    require("node", "nodejs")
    require("npm", "npm")
    words = [
        "npm",
        "install",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--silent",
        "--prefix",
        str(folder),
        NODE_PACKAGE,
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120, cwd=folder)
    if done.returncode != 0:
        left_out(NODE_PACKAGE, "let npm reach its registry")
    return folder

"""Checks the documentation: every relative link leads somewhere, commands and settings are those of the program, and no file
names the registry it was installed from.

Run as ``python -m tests.docs_check`` from anywhere. Refuses to call an empty documentation a correct one.
"""

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import unquote

from tests import docs_reference

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(
    r"!?\[[^\]]*\]\(\s*<?([^)\s>]+)>?(?:\s+[\"'][^)]*)?\)|^\[[^\]]+\]:\s+<?(\S+?)>?\s*$", re.MULTILINE
)
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|#|//", re.IGNORECASE)

# In pieces, so that this file does not name them itself: a lock or a document naming a registry ties a site to it.
REGISTRIES = tuple(
    ".".join(pieces)
    for pieces in (
        ("pypi", "org"),
        ("test", "pypi", "org"),
        ("pythonhosted", "org"),
        ("registry", "npmjs", "org"),
        ("npmjs", "com"),
        ("registry", "yarnpkg", "com"),
        ("deb", "debian", "org"),
        ("security", "debian", "org"),
        ("archive", "ubuntu", "com"),
    )
)


def documents() -> list[Path]:
    """README, changelog and everything in docs."""
    top = [ROOT / name for name in ("README.md", "CHANGELOG.md") if (ROOT / name).is_file()]
    return top + sorted((ROOT / "docs").rglob("*.md"))


def links(text: str) -> Iterator[str]:
    """The relative links of a Markdown text, code left aside."""
    for match in LINK.finditer(CODE.sub("", FENCE.sub("", text))):
        target = match[1] or match[2]
        if not ELSEWHERE.match(target):
            yield unquote(target.split("#", 1)[0].split("?", 1)[0])


def broken_links(paths: Iterable[Path]) -> Iterator[str]:
    for path in paths:
        for target in links(path.read_text(encoding="utf-8")):
            start = ROOT if target.startswith("/") else path.parent
            if not (start / target.lstrip("/")).exists():
                yield f"{path.relative_to(ROOT)}: the link to {target} leads nowhere"


def kept_files() -> list[Path]:
    """The files of the repository: tracked, and new ones that are not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    return [path for name in listed.split(b"\0") if name and (path := ROOT / name.decode()).is_file()]


def named_registries(paths: Iterable[Path]) -> Iterator[str]:
    for path in paths:
        content = path.read_bytes()
        for host in REGISTRIES:
            if host.encode() in content:
                yield f"{path.relative_to(ROOT)}: names the package registry {host}"


def main() -> int:
    read, kept = documents(), kept_files()
    if not (ROOT / "README.md").is_file() or not (ROOT / "docs").is_dir() or not kept:
        print("documentation: README.md, docs/ or the repository's file list is missing", file=sys.stderr)
        return 1
    problems = [*broken_links(read), *named_registries(kept), *docs_reference.problems()]
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        return 1
    print(
        f"{len(read)} documents: every relative link leads somewhere, every command, option and setting is there and explained; "
        f"{len(kept)} files name no package registry"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

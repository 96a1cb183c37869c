"""One flow run of the demo, in a process of its own: ``python -m console.demo.night DAY [RECORD-TYPE …]`` in a demo's folder.

Refuses to run anywhere else: the settings must lie inside a folder that the demo made.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from console.demo.folder import require_inside
from flows import quiet
from flows.settings import Settings, load_settings
from retention.errors import RetentionError, Unavailable


def run_flow(settings: Settings, on: str, *record_types: str) -> None:
    """Run `apply_schedule` as a Prefect flow. Raises `Unavailable` with what it said last."""
    command = [sys.executable, "-m", "console.demo.night", on, *record_types]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    log = quiet.home(settings.state_dir) / "flow.log"
    with log.open("a", encoding="utf-8") as file:
        file.write(ended.stdout + ended.stderr)
    if ended.returncode:
        said = ended.stderr.strip().splitlines()
        raise Unavailable(f"the flow run failed: {said[-1] if said else 'without a word'}", f"its log: {log}")


def main() -> int:
    try:
        settings = load_settings()
        require_inside(settings)
        quiet.apply(settings.state_dir)
        from flows.applying import apply_schedule  # noqa: PLC0415  # Prefect reads its settings when imported

        on, *record_types = sys.argv[1:]
        apply_schedule(on=on, record_types=record_types or None)
    except RetentionError as error:
        sys.stderr.write(f"{Path(__file__).stem}: {error.message}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`python -m docs._generate.breaking` compares the OpenAPI document with the one that clients rely on.

That one, the baseline, is the interface of the last release, or a newer one that was accepted: `--accept` writes it,
for a release, or for a break that is meant and that CHANGELOG.md tells.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from docs._generate.compatibility import breaks, skeleton

REFERENCE = Path(__file__).resolve().parents[1] / "reference"
NOW = REFERENCE / "openapi.json"
BASELINE = REFERENCE / "openapi-baseline.json"


def main(arguments: list[str]) -> int:
    """Print each break; the exit status is 1 if there is one."""
    now = skeleton(json.loads(NOW.read_text()))
    if "--accept" in arguments:
        BASELINE.write_text(json.dumps(now, indent=1, ensure_ascii=False) + "\n")
        print(f"{BASELINE.name}: written")
        return 0
    found = breaks(json.loads(BASELINE.read_text()), now)
    for each in found:
        print(f"breaks clients: {each}")
    if found:
        print("if it is meant, tell it in CHANGELOG.md and run `python -m docs._generate.breaking --accept`")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

"""`murmur run` with a door that waits less: `python short_times.py HEAD_S BODY_S CONFIG`. For tests in a hurry."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from node.app import run
from node.http.door import Doors

if __name__ == "__main__":
    Doors.__init__.__kwdefaults__.update(head_s=float(sys.argv[1]), body_s=float(sys.argv[2]))
    sys.exit(run(Path(sys.argv[3])))

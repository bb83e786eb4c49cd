"""`murmur run`, that writes down each exact vector before its noise: for the eyes of test_mesh_kills only.

Run as `python mesh_child.py CONFIG VECTORS`.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parent)]

from node_child import keep_vectors  # noqa: E402

from node.app import run  # noqa: E402

if __name__ == "__main__":
    keep_vectors(Path(sys.argv[2]))
    sys.exit(run(Path(sys.argv[1])))

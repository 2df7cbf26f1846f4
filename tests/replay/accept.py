"""Accepts a change of behaviour: writes the golden files anew. Look at `git diff tests/replay` before you commit.

.venv/bin/python tests/replay/accept.py
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.replaying import FOLDER, replayed

for name, text in replayed().texts().items():
    (FOLDER / name).write_text(text)
    print(f"{name}: {text.count(chr(10))} lines")

"""The command `forestay`."""

import sys

from forestay import compiled

# Before anything of the command imports the core: every command, and --help too, says it in one line.
if (refusal := compiled.refusal()) is not None:
    sys.stderr.write(f"forestay: {refusal}\n")
    sys.exit(1)

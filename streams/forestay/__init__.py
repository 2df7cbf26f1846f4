"""Forestay: foresees who is about to leave a shop, and acts in time to make them stay."""

import os

from forestay import compiled

compiled.install(os.environ)

"""`python -m forestay_bench`: what scripts/bench runs."""

from forestay_bench.cli import app

app(prog_name="scripts/bench")

"""`python -m forestay_chaos`: what scripts/chaos runs."""

from forestay_chaos.cli import app

app(prog_name="scripts/chaos")

"""Lets `python -m forestay` be the command `forestay`."""

from forestay.cli.main import app

if __name__ == "__main__":
    app(prog_name="forestay")

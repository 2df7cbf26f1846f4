"""Runs the demonstration for a person or a machine."""

import sys

import msgspec
from rich.console import Console

from forestay.cli.console import console
from forestay.cli.interruptible import Stopped, run_interruptible
from forestay.demo.meter import Sample
from forestay.demo.run import Interrupted, Options, run
from forestay.demo.screen import counts, make_screen
from forestay.demo.summary import Summary
from forestay.demo.telling import tell_summary


def demonstrate(options: Options, *, as_json: bool) -> int:
    """Runs it, tells the outcome and returns the exit code: 0 if the books balance.

    With `as_json` the summary is one JSON object on stdout, and all else goes to stderr.

    Raises:
        ForestayError: it could not be run.
    """
    out = console(stderr=as_json)
    try:
        with make_screen(out) as screen:
            summary = run_interruptible(run(options, screen))
    except Stopped as stopped:
        _say_how_far(out, stopped.__cause__)
        return stopped.code
    if as_json:
        sys.stdout.write(msgspec.json.encode(summary).decode() + "\n")
    else:
        tell_summary(out, summary)
    return _code(summary)


def _code(summary: Summary) -> int:
    return 0 if summary.balanced else 1


def _say_how_far(out: Console, cause: BaseException | None) -> None:
    sample: Sample | None = cause.sample if isinstance(cause, Interrupted) else None
    if sample is None:
        out.print("stopped before anything was sent; nothing is left running")
        return
    out.print(
        f"stopped half-way: {sample.sent:,} events sent, {sample.done:,} of them done and durable,"
        f" {sample.users:,} users, {sample.decisions:,} scores ({counts(sample.rungs)}),"
        f" {sample.actions:,} actions ({counts(sample.kinds)}), {sample.dead_letters} dead letters."
        " Nothing is left running, and the broker's memory is gone with it.",
        soft_wrap=True,
    )

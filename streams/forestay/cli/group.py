"""The top of the command: common flags wherever they stand, and errors as one line."""

import sys
from typing import Any, Final

import typer
from typer.core import TyperGroup

from forestay.cli.errors import explain
from forestay.core.errors import UsageError

#: Flags of `forestay` itself that take a value; a person may write them after the command too.
COMMON_FLAGS: Final = ("--config", "--bootstrap-servers", "--triton-url", "--set")
INTERRUPTED: Final = 130


class ForestayGroup(TyperGroup):
    """The command group of `forestay`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parses arguments with the common flags moved to the front."""
        return super().parse_args(ctx, hoist(args))

    def invoke(self, ctx: Any) -> Any:
        """Runs the command; an expected error becomes one line on stderr and exit code 1, or 2 for wrong use."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        except Exception as error:
            line = explain(error)
            if line is None:
                raise
            sys.stdout.flush()
            sys.stderr.write(f"forestay: {line}\n")
            raise typer.Exit(2 if isinstance(error, UsageError) else 1) from None


def hoist(args: list[str]) -> list[str]:
    """Returns `args` with the common flags and their values first; what follows `--` stays."""
    common: list[str] = []
    rest: list[str] = []
    waiting = iter(args)
    for arg in waiting:
        if arg == "--":
            rest.extend((arg, *waiting))
        elif arg in COMMON_FLAGS:
            common.append(arg)
            common.extend([value] if (value := next(waiting, None)) is not None else [])
        elif arg.startswith(tuple(f"{flag}=" for flag in COMMON_FLAGS)):
            common.append(arg)
        else:
            rest.append(arg)
    return common + _through_core(rest)


def _through_core(args: list[str]) -> list[str]:
    """Returns `args` with `replay --no-broker` as `rerun`, which takes recordings through the core alone."""
    end = args.index("--") if "--" in args else len(args)
    if args[:1] != ["replay"] or "--no-broker" not in args[:end]:
        return args
    return ["rerun", *(arg for arg in args[1:end] if arg != "--no-broker"), *args[end:]]

"""Compiles the core's hot modules with mypyc.

The modules are named in pyproject.toml under [tool.forestay]. What comes out lies in .venv/lib/forestay-compiled/,
in a folder named after the sources it was built from, and is used only while the sources are these
(docs/compiled.md). Does nothing where that folder is there already. `--possible` builds nothing: it says, and by its
exit code tells, whether a C compiler and Python's headers are here, or nothing is left to compile. Exit codes:
0 yes, or done; 1 it failed; 3 nothing can be compiled here, and there is no build of these sources.
"""

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import tomllib
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
#: The module all compiled ones share has this name and mypyc's suffix.
GROUP: Final = "forestay_core"
#: Exit code where nothing can be compiled here.
IMPOSSIBLE: Final = 3
#: Beside the extension modules: what made them.
MADE_BY: Final = "made-by.txt"


def obstacle() -> str:
    """Returns what is missing to compile anything, or an empty text."""
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")[0]
    if not shutil.which(compiler):
        return f"no C compiler ({compiler}); Debian, Ubuntu: apt-get install gcc libc6-dev"
    header = Path(sysconfig.get_path("include"), "Python.h")
    if not header.is_file():
        return f"no headers of Python ({header}); Debian, Ubuntu: apt-get install python3-dev"
    return ""


def listed(project: Path) -> list[str]:
    """Returns the modules to compile, by full name, in order."""
    return sorted(tomllib.loads(project.read_text())["tool"]["forestay"]["compiled"])


def build(modules: Sequence[str], roots: Sequence[Path], target: Path, *, group: str = GROUP) -> None:
    """Compiles `modules`, sources below the first of `roots`, into the folder `target`: whole or not at all.

    Args:
        modules: full names; none is a package.
        roots: folders that packages lie in; the others hold what the modules import.
        target: made new; its files are `<full name><suffix of extension modules>`.
        group: name of the module that holds the code of all.

    Raises:
        subprocess.CalledProcessError: mypy or the C compiler refused; what they said is on stderr.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".part.", dir=target.parent) as name:
        part = Path(name)
        sources = [f"{module.replace('.', '/')}.py" for module in modules]
        # In the source root, so that tracebacks name a file that Python finds on its path, wherever it runs.
        subprocess.run(  # noqa: S603 - this file itself
            [sys.executable, __file__, "--mypycify", str(part), group, *sources],
            cwd=roots[0],
            env={**os.environ, "FORESTAY_CORE": "plain", "MYPYPATH": os.pathsep.join(map(str, roots))},
            stdout=sys.stderr,
            check=True,
        )
        made = part / "made"
        made.mkdir()
        suffix = sysconfig.get_config_var("EXT_SUFFIX")
        for module in [*modules, f"{group}__mypyc"]:
            shutil.move(part / "lib" / f"{module.replace('.', '/')}{suffix}", made / f"{module}{suffix}")
        (made / MADE_BY).write_text(made_by(modules))
        shutil.rmtree(target, ignore_errors=True)
        made.rename(target)


def made_by(modules: Sequence[str]) -> str:
    """Returns what a build of the same sources may differ by."""
    return "\n".join([*(f"{tool} {version(tool)}" for tool in ("mypy", "librt")), *modules, ""])


def mypycify(part: Path, group: str, sources: Sequence[str]) -> None:
    """Compiles in this process, whose current folder is the source root, into `part`/lib."""
    # Of the group `compile`: the rest of this file works without.
    from mypyc import build as mypyc  # noqa: PLC0415
    from setuptools import setup  # noqa: PLC0415

    checking = ["--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", os.devnull]
    extensions = mypyc.mypycify(
        [*checking, *sources], target_dir=str(part / "c"), group_name=group, debug_level="0", opt_level="3"
    )
    for extension in extensions:
        # A warning that a newer compiler has learnt is not this user's to mend.
        extension.extra_compile_args = [flag for flag in extension.extra_compile_args if flag != "-Werror"]
    # One file takes nearly all the time; the many small ones beside it are done meanwhile.
    options = ["--build-lib", str(part / "lib"), "--build-temp", str(part / "temp"), "--parallel", "2"]
    setup(name=group, ext_modules=extensions, packages=[], script_args=["--quiet", "build_ext", *options])


def main(arguments: Sequence[str]) -> int:
    """Builds what is listed, unless it is there; returns the exit code."""
    parser = argparse.ArgumentParser(prog="compile.py", description=__doc__)
    parser.add_argument("--possible", action="store_true", help="only tell whether it could be compiled here")
    parser.add_argument("--force", action="store_true", help="build it again, also where it is there")
    asked = parser.parse_args(arguments)
    missing = obstacle()
    if missing and (asked.force or not is_built()):
        print(f"compile: the plain-Python core is used: {missing}")
        return IMPOSSIBLE
    if missing:
        if not asked.possible:
            print("compile: nothing to do: the core is built from these sources")
        return 0
    return 0 if asked.possible else compile_core(force=asked.force)


def is_built() -> bool:
    """Says whether the form built of the installed sources is there, whatever tools made it."""
    from forestay import compiled  # noqa: PLC0415

    return (compiled.BUILDS / compiled.digest(*compiled.core_packages()) / MADE_BY).is_file()


def compile_core(*, force: bool) -> int:
    """Builds the core of this checkout into this environment; returns the exit code."""
    from forestay import compiled  # noqa: PLC0415

    modules = listed(ROOT / "pyproject.toml")
    with tempfile.TemporaryDirectory(prefix="forestay-compile-") as name:
        roots = snapshot(Path(name))
        digest = compiled.digest(roots[0] / "forestay" / "core", roots[1] / "forestay_schemas")
        if digest != compiled.digest(*compiled.core_packages()):
            print(f"compile: {sys.prefix} has other sources than this checkout: run scripts/setup", file=sys.stderr)
            return 1
        target = compiled.BUILDS / digest
        made = target / MADE_BY
        if not force and made.is_file() and made.read_text() == made_by(modules):
            print(f"compile: nothing to do: {len(modules)} modules are built from these sources")
            return 0
        print(f"compile: compiling {len(modules)} modules of the core, half a minute or so", flush=True)
        began = time.monotonic()
        try:
            build(modules, roots, target)
        except subprocess.CalledProcessError:
            print("compile: the plain-Python core is used: mypyc or the C compiler failed (above)", file=sys.stderr)
            return 1
    for other in compiled.BUILDS.glob("[!.]*"):
        if other != target:
            shutil.rmtree(other, ignore_errors=True)
    print(f"compile: {len(modules)} modules of the core in {time.monotonic() - began:.0f} s")
    return 0


def snapshot(folder: Path) -> list[Path]:
    """Returns copies of the source roots: what is edited meanwhile must not get into a build of what was there."""
    roots = []
    for root, package in (("streams", "forestay"), ("schemas", "forestay_schemas")):
        shutil.copytree(ROOT / root / package, folder / root / package, ignore=shutil.ignore_patterns("__pycache__"))
        roots.append(folder / root)
    return roots


if __name__ == "__main__":
    if sys.argv[1:2] == ["--mypycify"]:
        mypycify(Path(sys.argv[2]), sys.argv[3], sys.argv[4:])
        sys.exit(0)
    sys.exit(main(sys.argv[1:]))

"""Chooses the core's form: compiled by mypyc where there is a build of exactly these sources, else plain Python.

One source makes both. `scripts/compile` builds extension modules into a folder of this environment, named after a
digest of the sources; importing `forestay` looks whether such a folder is there. A build of other sources is never
used. The core itself knows nothing of this. What is compiled, and why: docs/compiled.md.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, ModuleSpec
from importlib.util import find_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Final, Literal, NamedTuple, Protocol

#: `plain`: never the compiled form. `compiled`: nothing else, or an error. Unset: compiled where it is built.
VARIABLE: Final = "FORESTAY_CORE"
#: Of an extension module of this Python on this platform; it ends the names of files in a build.
SUFFIX: Final = EXTENSION_SUFFIXES[0]
#: In the environment, so that a build goes with the Python and the libraries it was made for.
BUILDS: Final = Path(sys.prefix, "lib", "forestay-compiled")


class Form(NamedTuple):
    """Which form the core is in, why, and whether there is a build of other sources than these."""

    name: Literal["compiled", "plain"]
    reason: str
    is_stale: bool = False

    @property
    def title(self) -> str:
        """Returns the form in words."""
        return "plain Python" if self.name == "plain" else self.name


class Choice(NamedTuple):
    """A form, and the file of each compiled module by its full name (none in the plain form)."""

    form: Form
    files: Mapping[str, Path]


class _Environment(Protocol):
    def get(self, key: str, default: str) -> str: ...


class Finder:
    """Finds compiled modules before their sources; an entry of `sys.meta_path`."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        """`files` are extension modules by full name."""
        self._files = files

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Returns how to load `fullname`, or None where it is not compiled."""
        del path, target
        file = self._files.get(fullname)
        if file is None:
            return None
        return spec_from_file_location(fullname, file, loader=ExtensionFileLoader(fullname, str(file)))


def digest(*packages: Path) -> str:
    """Returns 32 hexadecimal digits that stand for this Python, its platform and every source of `packages`.

    All sources, and not those compiled alone: mypyc takes constants and layouts from what they import.
    """
    hashed = blake2b(SUFFIX.encode(), digest_size=16)
    for package in packages:
        for name, content in _sources(package):
            hashed.update(f"\0{name}\0{len(content)}\0".encode())
            hashed.update(content)
    return hashed.hexdigest()


def choose(environment: _Environment, builds: Path, packages: Sequence[Path]) -> Choice:
    """Returns the form to use, by the variable `FORESTAY_CORE` and the `builds` there are of the core's `packages`.

    Raises:
        ImportError: the variable has another value, or asks for a build that is not there.
    """
    asked = environment.get(VARIABLE, "")
    if asked not in {"", "plain", "compiled"}:
        raise ImportError(f"{VARIABLE} is {asked!r}: set it to plain or compiled, or unset it")
    if asked == "plain":
        return Choice(Form("plain", f"{VARIABLE}=plain"), {})
    # One that is being made has a name with a dot before it.
    there = [entry.name for entry in builds.glob("[!.]*")]
    current = digest(*packages) if there else ""
    if current in there:
        files = {file.name.removesuffix(SUFFIX): file for file in (builds / current).glob(f"*{SUFFIX}")}
        return Choice(Form("compiled", f"built from these sources, in {builds / current}"), files)
    reason = "what is built is of other sources" if there else "it is not built"
    if asked == "compiled":
        raise ImportError(f"{VARIABLE}=compiled, but {reason}: run scripts/compile, or unset the variable")
    return Choice(Form("plain", f"{reason}; scripts/compile builds it", is_stale=bool(there)), {})


def core_packages() -> list[Path]:
    """Returns the folders whose sources make the compiled form: the core, and the contracts it imports."""
    schemas = find_spec("forestay_schemas")
    contracts = list(schemas.submodule_search_locations or []) if schemas else []
    return [Path(__file__).parent / "core", *map(Path, contracts)]


class Refusal:
    """Refuses every module of the core, with the reason; an entry of `sys.meta_path`.

    Not `import forestay` itself: the command has to be there to tell it in one line.
    """

    def __init__(self, reason: str) -> None:
        """`reason` says why there is no core."""
        self._reason = reason

    def find_spec(self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> None:
        """Finds nothing.

        Raises:
            ImportError: `fullname` is the core or a module of it.
        """
        del path, target
        if f"{fullname}.".startswith("forestay.core."):
            raise ImportError(self._reason)


def install(environment: _Environment) -> None:
    """Chooses, once a process, before any module of the core is imported; without a choice, none can be."""
    try:
        choice = choose(environment, BUILDS, core_packages())
    except ImportError as error:
        _refused.append(str(error))
        sys.meta_path.insert(0, Refusal(str(error)))
        return
    if choice.files:
        sys.meta_path.insert(0, Finder(choice.files))
    _chosen.append(choice.form)


def form() -> Form:
    """Returns the form the core of this process is in."""
    return _chosen[-1]


def refusal() -> str | None:
    """Returns why the core cannot be imported in this process, None if it can."""
    return _refused[-1] if _refused else None


_chosen: Final[list[Form]] = []
_refused: Final[list[str]] = []


def _sources(package: Path) -> Iterator[tuple[str, bytes]]:
    for file in sorted(package.rglob("*.py")):
        yield file.relative_to(package.parent).as_posix(), file.read_bytes()

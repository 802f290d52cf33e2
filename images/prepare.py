"""Prepares what goes into an image: less of it, byte code for all of it, the same files from each build.

Runs in the Dockerfile alone, with the Python of the image: `environment FOLDER` works on an environment, `only FOLDER
PACKAGE...` leaves in it those packages of the project, and `library FOLDER` writes byte code of the standard library
below a folder that stands for the root.
"""

from __future__ import annotations

import importlib.util
import os
import py_compile
import shutil
import struct
import sys
import sysconfig
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

_EPOCH: Final = 315_532_800
"""Time of every file: 1980, the earliest that a wheel can hold. Times of builds would differ."""

_SOURCES_OF_EXTENSIONS: Final = {".c", ".cpp", ".h", ".pxd", ".pxi", ".pyi", ".pyx"}
"""What compilers and type checkers read, and Python does not."""

_UNUSED: Final = (
    "bin/[Aa]ctivate*",
    "lib/python*/site-packages/*/tests",
    # The operator sends its own paths and objects: it needs the client, not a class for each path and kind of object.
    "lib/python*/site-packages/kubernetes/client/api/*_api.py",
    "lib/python*/site-packages/kubernetes/client/models/v[0-9]*.py",
    "lib/python*/site-packages/kubernetes/aio/client/api/*_api.py",
    "lib/python*/site-packages/kubernetes/aio/client/models/v[0-9]*.py",
    # Of the library with which `rich` colours source code, what knows the languages; no command prints any.
    "lib/python*/site-packages/pygments/formatters/[a-z]*.py",
    "lib/python*/site-packages/pygments/lexers/[a-z]*.py",
    "lib/python*/site-packages/pygments/lexers/_[a-z]*_builtins.py",
    "lib/python*/site-packages/pygments/styles/[a-z]*.py",
    # Compilers of what `cryptography` and `argon2` bring compiled.
    "lib/python*/site-packages/cffi",
    "lib/python*/site-packages/pycparser",
    # Other databases, and the tests that authors of dialects run.
    "lib/python*/site-packages/sqlalchemy/dialects/m[sy]*",
    "lib/python*/site-packages/sqlalchemy/dialects/oracle",
    "lib/python*/site-packages/sqlalchemy/dialects/sqlite",
    "lib/python*/site-packages/sqlalchemy/testing",
    # Other event loops, none, and former implementations.
    "lib/python*/site-packages/anyio/_backends/_trio.py",
    "lib/python*/site-packages/websockets/legacy",
    "lib/python*/site-packages/websockets/sync",
    "lib/python*/site-packages/websockets/trio",
    "lib/python*/site-packages/pydantic/v1",
    # Names of attributes and metrics; those that OpenTelemetry itself uses begin with "otel".
    "lib/python*/site-packages/opentelemetry/semconv/_incubating/attributes/[a-np-z]*.py",
    "lib/python*/site-packages/opentelemetry/semconv/_incubating/metrics/[a-np-z]*.py",
)
"""Parts of packages that no program of ours imports."""

_LIBRARY_WITHOUT: Final = {
    *("_pydatetime", "_pydecimal", "_pyio", "_pylong", "_pyrepl", "antigravity", "bdb", "cmd", "code"),
    *("codeop", "compileall", "cProfile", "csv", "curses", "dbm", "dist-packages", "doctest", "ensurepip"),
    *("fileinput", "ftplib", "idlelib", "imaplib", "lib-dynload", "mailbox", "modulefinder"),
    *("multiprocessing", "ntpath", "optparse", "pdb", "pickletools", "plistlib", "poplib", "proactor_events"),
    *("profile", "pstats", "pyclbr", "pydoc", "pydoc_data", "sched", "shelve", "site-packages", "smtplib"),
    *("sqlite3", "statistics", "symtable", "tabnanny", "tarfile", "test", "tkinter", "trace", "turtle"),
    *("turtledemo", "unittest", "venv", "wave", "webbrowser", "windows_events", "windows_utils", "xml"),
    *("xmlrpc", "zipapp"),
}
"""Modules of the standard library that no service imports at its start; they work without byte code, too."""

_ENCODINGS: Final = {"__init__", "aliases", "ascii", "cp437", "idna", "latin_1", "punycode", "unicode_escape", "utf_8"}
"""The encodings in use, of a hundred."""

_SEGMENT: Final = struct.Struct("<IIQQQQQQ")
"""An entry of the program header: type, flags, offset, two addresses, size in the file, size in memory, alignment."""


def environment(folder: Path) -> None:
    """Remove what no program needs from an environment, and compile the rest."""
    for pattern in ("**/__pycache__", *_UNUSED):  # pip compiles, too, in its own way
        for found in [*folder.glob(pattern)]:
            shutil.rmtree(found) if found.is_dir() else found.unlink()
    for file in _files(folder):
        if file.suffix in _SOURCES_OF_EXTENSIONS:
            file.unlink()
        elif ".so" in file.suffixes:
            _without_debugging(file)
    for file in [*_files(folder)]:
        if file.suffix == ".py":
            _compile(file, below=Path("/"))
    _age(folder)


def library(layer: Path) -> None:
    """Compile the standard library to a folder that stands for the root."""
    root = Path(sysconfig.get_paths()["stdlib"]).resolve()
    for file in _files(root):
        parts = file.relative_to(root).with_suffix("").parts
        used = parts[1] in _ENCODINGS if parts[0] == "encodings" else not _LIBRARY_WITHOUT & {*parts}
        if file.suffix == ".py" and used:
            _compile(file, below=layer)
    _age(layer)


def only(folder: Path, packages: Collection[str]) -> None:
    """Remove the packages of the project that are not named."""
    for package in folder.glob("lib/python*/site-packages/taskbell/*"):
        if package.name not in packages:
            shutil.rmtree(package)
    _age(folder)


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())


def _compile(source: Path, *, below: Path) -> None:
    """Write byte code that holds the source's hash and is never checked: the files of an image do not change."""
    target = below / importlib.util.cache_from_source(str(source)).lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    py_compile.compile(
        str(source),
        cfile=str(target),
        dfile=str(source),
        doraise=True,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )


def _without_debugging(file: Path) -> None:
    """Cut off what the loader of a 64-bit little-endian ELF file does not read.

    The loader maps segments. What follows the last of them is for linkers and debuggers, and the table of sections;
    some extension modules consist of it by 90 %.
    """
    data = bytearray(file.read_bytes())
    if data[:6] != b"\x7fELF\x02\x01":
        return
    (first,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    segments = [_SEGMENT.unpack_from(data, first + size * number) for number in range(count)]
    end = max([first + size * count, *(offset + length for _, _, offset, _, _, length, _, _ in segments)])
    struct.pack_into("<Q", data, 40, 0)  # no table of sections
    struct.pack_into("<HH", data, 60, 0, 0)
    file.write_bytes(data[:end])


def _age(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        os.utime(path, (_EPOCH, _EPOCH), follow_symlinks=False)


def main() -> None:
    """Do what the command line says."""
    what, folder, *packages = sys.argv[1:]
    match what:
        case "environment":
            environment(Path(folder))
        case "only":
            only(Path(folder), packages)
        case "library":
            library(Path(folder))
        case _:
            raise SystemExit(f"prepare.py: unknown: {what}")


if __name__ == "__main__":
    main()

"""Become another program that ends with its parent and, where asked, runs as an ordinary user.

Run by path (`python -I -S launch.py <parent> <signal> <uid> <gid> <program> ...`), so with the standard library alone.
The process id stays: this interpreter is replaced by the program.

PostgreSQL refuses to run as root, but its folder may lie in one that only root can enter. So the ordinary user keeps
the capability to enter it (capabilities(7): permitted, inheritable and ambient, to survive `execve`). With
SECBIT_NO_SETUID_FIXUP access(2), by which `initdb` looks for its neighbours, heeds that capability, too.
"""

from __future__ import annotations

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_SET_SECUREBITS = 28
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_SECBIT_NO_SETUID_FIXUP = 4
_CAPABILITY_VERSION_3 = 0x20080522
_CAP_DAC_OVERRIDE = 1
_CAP_DAC_READ_SEARCH = 2
_WANTED = (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH)


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def die_with_parent(parent: int, signal: int) -> None:
    """Make the kernel send `signal` when the parent ends (Linux only; elsewhere the parent must clean up)."""
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:  # the parent ended before prctl took effect
        raise SystemExit(1)


def become(uid: int, gid: int) -> None:
    """Change from root to an ordinary user that may still enter folders closed to it.

    Raises `OSError` where the kernel or a sandbox forbids the change.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if sys.platform.startswith("linux"):
        libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
        libc.prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP, 0, 0, 0)  # a sandbox may refuse; folders are open there
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if sys.platform.startswith("linux"):
        _keep_passage(libc)


def _keep_passage(libc: ctypes.CDLL) -> None:
    header = _Header(_CAPABILITY_VERSION_3, 0)
    sets = (_Sets * 2)()
    if libc.capget(ctypes.byref(header), sets) != 0:
        raise OSError(ctypes.get_errno(), "capget")
    kept = [cap for cap in _WANTED if sets[0].permitted & (1 << cap)]
    mask = sum(1 << cap for cap in kept)
    sets[0] = _Sets(mask, mask, mask)
    sets[1] = _Sets(0, 0, 0)
    if libc.capset(ctypes.byref(header), sets) != 0:
        raise OSError(ctypes.get_errno(), "capset")
    for cap in kept:
        if libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, cap, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_CAP_AMBIENT)")


def main(arguments: list[str]) -> None:
    """Prepare as the arguments say, then become the program. A failure is one line and exit status 77."""
    parent, signal, uid, gid = (int(number) for number in arguments[:4])
    program = arguments[4:]
    try:
        if uid >= 0:
            become(uid, gid)
        die_with_parent(parent, signal)  # last: a change of user would clear it
        os.execvp(program[0], program)  # noqa: S606 -- no shell is wanted
    except OSError as refused:
        user = f" as user id {uid}" if uid >= 0 else ""
        sys.stderr.write(f"taskbell: {program[0]} could not be started{user}: {refused}\n")
        raise SystemExit(77) from None


if __name__ == "__main__":
    main(sys.argv[1:])

"""In charge of the last steps before a PostgreSQL program runs: give up root, die with the supervisor, become it.

`embedded_process` runs this file in an isolated interpreter of its own (standard library only), never imports it: the
steps below must happen between fork and exec, and Python code must not run there in a process that has threads.

Arguments: the supervisor's process id; the signal to get when the supervisor dies (0: none); user and group id to
take (-1: stay); the program and its arguments. The program inherits the working folder, which may lie below folders
that its new user cannot enter.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Become the program; `SystemExit` with one line for standard error where that cannot be."""
    supervisor, death_signal, uid, gid = (int(argument) for argument in arguments[:4])
    program = arguments[4:]
    if uid >= 0:
        try:
            os.setgroups([])
            os.setgid(gid)
            os.setuid(uid)
        except OSError as error:
            sys.exit(f"cannot become user `{uid}`, and PostgreSQL refuses to run as root: {error.strerror}")
    if death_signal:
        # INVARIANT: after the change of user, which clears this setting; exec keeps it.
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
            sys.exit(f"cannot ask for a signal at the supervisor's death: {os.strerror(ctypes.get_errno())}")
        if os.getppid() != supervisor:
            sys.exit("the supervisor is gone")
    # Python ignores some signals, a shell's background job others, and exec would pass that on.
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    os.umask(0o077)
    try:
        os.execv(program[0], program)
    except OSError as error:
        sys.exit(f"cannot run `{program[0]}`: {error.strerror}")


if __name__ == "__main__":
    main(sys.argv[1:])

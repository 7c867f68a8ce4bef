"""In charge of `python -m demo` until its parts are loaded; the commands are in `demo.command`."""

import os
import signal


def _main() -> int:
    # The imports take a second or more, and nothing is running yet: Ctrl-C just ends them, without a stack trace.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from demo.command import main

    return main()


if __name__ == "__main__":
    os.umask(0o077)
    raise SystemExit(_main())

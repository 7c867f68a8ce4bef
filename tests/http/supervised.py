"""A supervisor with workers of one behaviour, for the tests of signals: `python -m tests.http.supervised BEHAVIOUR`.

Prints `ready URL`, and `worker NUMBER PID` for each that begins.
"""

import asyncio
import os
import signal
import sys
import time

from tanglai.server import workers
from tanglai.server.starting import StartError
from tanglai.server.workers import Line, Port, Supervisor


def begin(number: int) -> None:
    os.write(1, f"worker {number} {os.getpid()}\n".encode())


def crash(number: int, line: Line) -> None:
    begin(number)
    os._exit(3)


def refuse(number: int, line: Line) -> None:
    begin(number)
    if number == 2:
        raise StartError("`THIS` is missing")
    line.ready()
    time.sleep(60)


def hang(number: int, line: Line) -> None:
    """The first life of the first worker stands still; every other one is well."""
    begin(number)
    line.ready()
    if number == 1 and not os.path.exists("hung"):
        open("hung", "w").close()
        os.kill(os.getpid(), signal.SIGSTOP)
    while True:
        time.sleep(0.1)
        asyncio.run(line.alive())


def stay(number: int, line: Line) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    begin(number)
    line.ready()
    time.sleep(60)


def later(number: int, line: Line) -> None:
    """Serves once, then never again."""
    begin(number)
    if os.path.exists(f"served-{number}"):
        raise StartError("not any more")
    open(f"served-{number}", "w").close()
    line.ready()
    time.sleep(0.5)


BEHAVIOURS = {"crash": crash, "refuse": refuse, "hang": hang, "stay": stay, "later": later}


def main() -> None:
    workers.CLOSING_SECONDS = 0.3
    workers.FIRST_DELAY = 0.01
    supervisor = Supervisor(
        BEHAVIOURS[sys.argv[1]],
        2,
        Port.take("127.0.0.1", 0),
        stop_seconds=0.2,
        hung_seconds=1.0,
        on_ready=lambda url: print(f"ready {url}", flush=True),
    )
    try:
        print(supervisor.run().name)
    except StartError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()

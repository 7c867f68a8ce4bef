"""In charge of holding data and subjects for whoever wants to profile or look: `python -m benchmarks.speed.hold`."""

import argparse
import json
import shlex
import signal
import threading
from pathlib import Path

from benchmarks.speed.cases import CASES
from benchmarks.speed.field import Field
from benchmarks.speed.load import command


def main() -> None:
    """Starts them, prints addresses and commands, and waits for Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed.hold", description=main.__doc__)
    parser.add_argument("subjects", nargs="*", default=["ours"], help="ours, many_grants, raw, strawberry, …")
    parser.add_argument("--case", action="append", choices=sorted(CASES), help="may repeat; list_100 by default")
    parser.add_argument("--state", type=Path, help="folder of the data; `.bench` by default")
    arguments = parser.parse_args()
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    cases = [CASES[name] for name in arguments.case or ["list_100"]]
    with Field(cases, subjects=arguments.subjects, state=arguments.state) as field:
        for name, reason in field.missing.items():
            print(f"{name}: {reason}")
        for name, running in field.running.items():
            print(f"{name}: {running.url} (process {running.pid})")
            for case in cases:
                if case.name in running.subject.cases:
                    draw = field.draws(case, count=1)[0]
                    call = running.subject.call(draw)
                    print(f"  {case.name}: curl -s {running.url}{call.path} -d {shlex.quote(call.body)}", end="")
                    print("".join(f" -H {shlex.quote(f'{key}: {value}')}" for key, value in call.headers.items()))
                    table = field.table(case, name)
                    given = command(running.url, table, connections=case.connections, seconds=10)
                    print(f"  load: {shlex.join(given)}")
        print(f"environment: {json.dumps(field.environment())}")
        print("ready", flush=True)
        ended.wait()


if __name__ == "__main__":
    main()

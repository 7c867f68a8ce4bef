"""In charge of writing the golden plans anew; the assertions (`##`) stay as they are."""

import asyncio

from tests.golden.cases import CASES, planned


def main() -> None:
    for case in CASES:
        plan, calls = asyncio.run(planned(case))
        head = case.path.read_text(encoding="utf-8").partition("\n---\n")[0]
        case.path.write_text(f"{head}\n---\n{plan}\n", encoding="utf-8")
        print(f"{case.path.name}: {calls} calls")


if __name__ == "__main__":
    main()

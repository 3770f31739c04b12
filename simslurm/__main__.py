"""`python -m simslurm`: make a simulated Slurm, fill it, let it live, let it fail."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import TYPE_CHECKING

from .database import SimCluster
from .faults import KINDS
from .install import COMMANDS, install_commands
from .versions import DEFAULT_VERSION
from .workload import Workload

if TYPE_CHECKING:
    from collections.abc import Sequence

_EXAMPLE = """example:
  python -m simslurm create sim.db --version 24.11.5
  python -m simslurm install sim.db bin
  python -m simslurm live sim.db --rate 2 --seconds 60 &
  bin/sacct -X -S now-1hour
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m simslurm",
        description="A simulated Slurm for tests and demos.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)

    create = commands.add_parser("create", help="make an empty accounting database")
    create.add_argument("database")
    create.add_argument("--cluster", default="sim")
    create.add_argument("--version", default=DEFAULT_VERSION)

    install = commands.add_parser("install", help="put sacct, scontrol, sacctmgr and sdiag into a folder")
    install.add_argument("database")
    install.add_argument("folder")
    install.add_argument("--version", help="play this version, whatever the database says")

    load = commands.add_parser("load", help="write many ended jobs at once")
    load.add_argument("database")
    load.add_argument("count", type=int)
    load.add_argument("--start", type=int, help="earliest end, epoch seconds (default: a day ago)")
    load.add_argument("--end", type=int, help="latest end, epoch seconds (default: now)")
    load.add_argument("--no-steps", action="store_true")

    live = commands.add_parser("live", help="let jobs start and end in real time")
    live.add_argument("database")
    live.add_argument("--rate", type=float, default=1.0, help="submissions a second")
    live.add_argument("--seconds", type=float, help="stop after so long (default: never)")
    live.add_argument("--runtime", type=float, default=20.0, help="mean seconds a job runs")

    for one in (load, live):
        one.add_argument("--seed", type=int, default=0)
        one.add_argument("--nodes", type=int, default=100)

    fault = commands.add_parser(
        "fault",
        help="let calls go wrong",
        epilog="kinds:\n" + "".join(f"  {kind:<13} {text}\n" for kind, text in KINDS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    fault.add_argument("database")
    fault.add_argument("program", choices=COMMANDS)
    fault.add_argument("kind", choices=tuple(KINDS))
    fault.add_argument("--count", type=int, default=1, help="how many calls; 0 is every one")
    fault.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="what the kind takes")

    setting = commands.add_parser("set", help="change settings; a running daemon meets them at its next call")
    setting.add_argument("database")
    setting.add_argument(
        "settings", nargs="+", metavar="NAME=VALUE", help="cut_windows_over=0, complaints=TEXT ..."
    )

    truth = commands.add_parser("truth", help="print every row as JSON")
    truth.add_argument("database")
    truth.add_argument("--json", action="store_true", help="the only format there is")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit status."""
    options = _parser().parse_args(arguments)
    try:
        _run(options)
    except (OSError, ValueError) as error:
        print(f"simslurm: {error}", file=sys.stderr)  # noqa: T201 - a command's own output
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _run(options: argparse.Namespace) -> None:
    if options.command == "create":
        SimCluster.create(options.database, cluster=options.cluster, version=options.version).close()
        return
    if options.command == "install":
        install_commands(options.folder, options.database, version=options.version)
        return
    with SimCluster.open(options.database) as cluster:
        if options.command == "load":
            workload = Workload(cluster, seed=options.seed, nodes=options.nodes)
            end = options.end or int(time.time())
            start = options.start or end - 86400
            print(workload.load(options.count, start, end, steps=not options.no_steps))  # noqa: T201
        elif options.command == "live":
            workload = Workload(
                cluster, seed=options.seed, nodes=options.nodes, rate=options.rate, runtime=options.runtime
            )
            print(workload.run_live(duration=options.seconds))  # noqa: T201
        elif options.command == "fault":
            settings = dict(entry.split("=", 1) for entry in options.set)
            cluster.add_fault(options.program, options.kind, count=options.count or None, **settings)
        elif options.command == "set":
            for entry in options.settings:
                name, _, value = entry.partition("=")
                cluster.change(name, value)
        else:
            json.dump(cluster.truth(), sys.stdout, default=_text)
            print()  # noqa: T201


def _text(value: object) -> str:
    """Show stored bytes as text; what is no UTF-8 becomes a surrogate, which JSON escapes."""
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)


if __name__ == "__main__":
    raise SystemExit(main())

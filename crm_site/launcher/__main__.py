"""python -m crm_site.launcher {run, exec, test, provision, vendor}: see README.md."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys

from crm_site.launcher.errors import LauncherError
from crm_site.launcher.processes import die_with_parent
from crm_site.launcher.servers import ensure_servers


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m crm_site.launcher")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="servers, web, worker and beat in the foreground")
    commands.add_parser("vendor", help="fetch the front-end files into static/vendor/")
    execute = commands.add_parser("exec", help="run a command with servers and their environment")
    execute.add_argument("words", nargs="+", metavar="-- COMMAND")
    test = commands.add_parser("test", help="run pytest on throw-away servers")
    test.add_argument("words", nargs="*", metavar="-- ARGUMENTS")
    make = commands.add_parser("provision", help="create the roles and the database on a PostgreSQL of yours")
    make.add_argument("--admin-url", required=True)
    make.add_argument("--database", default="banyan")
    chosen = parser.parse_args(arguments)
    match chosen.command:
        case "run":
            from crm_site.launcher import run

            return run.main()
        case "exec":
            with ensure_servers():
                return subprocess.Popen(chosen.words, preexec_fn=die_with_parent(signal.SIGTERM)).wait()
        case "test":
            from crm_site.launcher import testing

            return testing.main(chosen.words)
        case "provision":
            from crm_site.launcher import provision

            provision.main(chosen.admin_url, chosen.database)
            return 0
        case _:
            from crm_site.launcher import vendor

            vendor.build()
            return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except LauncherError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)

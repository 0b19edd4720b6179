import sys

from crm_site.launcher.errors import LauncherError


def main(argv: list[str]) -> int:
    if argv[:1] == ["vendor"]:
        from crm_site.launcher import vendor

        vendor.build()
        return 0
    print("usage: python -m crm_site.launcher vendor", file=sys.stderr)
    return 2


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except LauncherError as error:
        print(error, file=sys.stderr)
        sys.exit(1)

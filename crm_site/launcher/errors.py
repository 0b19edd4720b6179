class LauncherError(Exception):
    """Something the person at the terminal can act on: printed as one line, exit 1."""

"""`netloom` and `python -m netloom`.

`netloom exec NS CMD…` and `netloom run CMD…` take a short way that imports no more than it needs:
they are typed a hundred times a day, and written into loops.
"""

import sys


def main() -> None:
    """Run the command line."""
    arguments = sys.argv[1:]
    if len(arguments) > 2 and arguments[0] == "exec" and not arguments[1].startswith("-"):
        from netloom.cli.short import exec_shortly

        exec_shortly(arguments[1], arguments[2:])
    elif len(arguments) > 1 and arguments[0] == "run" and not arguments[1].startswith("-"):
        from netloom.cli.short import run_shortly

        run_shortly(arguments[1:])
    from netloom.cli.main import main as whole

    whole()


if __name__ == "__main__":
    main()

"""All commands under one name: `tfp-priors train ...` is `bin/train ...`."""

import ast
import importlib
import pkgutil
import sys
from pathlib import Path

# Of this room, what is no command.
_PARTS = ("__main__", "command", "evaluation", "gin_flags")


def names() -> list[str]:
    """The commands there are."""
    modules = pkgutil.iter_modules([str(Path(__file__).parent)])
    return [module.name for module in modules if module.name not in _PARTS]


def start(name: str) -> None:
    """Runs a command with the flags of `sys.argv`."""
    try:
        import absl  # noqa: F401
    except ImportError:
        sys.exit(
            f"{name}: the packages are not installed: run bin/quickstart, or pip "
            "install -e ."
        )
    from tfp_priors.commands import command

    command.run(importlib.import_module(f"tfp_priors.commands.{name}"))


def main() -> None:
    """The console script: its first argument is the name of a command."""
    name, *arguments = sys.argv[1:] or ["--help"]
    if name in ("--help", "-h", "help"):
        print("Usage: tfp-priors COMMAND --flag=value ...; COMMAND --help says which.")
        for known in names():
            # Not imported: each defines flags, of the same names.
            text = Path(__file__).with_name(f"{known}.py").read_text(encoding="utf-8")
            print(f"  {known:14} {ast.get_docstring(ast.parse(text)).splitlines()[0]}")
        return
    if name not in names():
        sys.stderr.write(
            f"tfp-priors: there is no command {name!r}: expected one of "
            f"{', '.join(names())}.\n"
        )
        sys.exit(2)
    sys.argv = [name, *arguments]
    start(name)


if __name__ == "__main__":
    main()

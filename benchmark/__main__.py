"""``python -m benchmark``: see ``benchmark.cli``."""

from benchmark.cli import main

if __name__ == "__main__":
    raise SystemExit(main())

"""Launcher: in a checkout, `python cli.py …` is the same program as `xmodal …`."""

from xmodal.cli import main

if __name__ == "__main__":
    main()

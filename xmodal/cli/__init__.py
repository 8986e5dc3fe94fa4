"""The command line: parses, calls Library, prints. One command per file."""


def main() -> None:
    """Run ``xmodal`` with the arguments of this process; ends the process."""
    from xmodal.cli.app import app

    app(prog_name="xmodal")

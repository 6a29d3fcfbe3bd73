"""Words in, exit code out: the only package that knows the command line."""

from pipeline.cli.main import main

__all__ = ["main"]

"""`aejax study adbench` as a script."""

from aejax.cli.main import run_script

run_script("study", "adbench")

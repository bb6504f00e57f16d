"""`aejax reproduce` as a script."""

from aejax.cli.main import run_script

run_script("reproduce")

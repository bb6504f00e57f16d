"""`aejax study one-class` as a script."""

from aejax.cli.main import run_script

run_script("study", "one-class")

"""`aejax study jacobian` as a script."""

from aejax.cli.main import run_script

run_script("study", "jacobian")

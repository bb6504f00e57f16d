"""`python -m aejax VERB ...`, where the console program `aejax` is not at hand."""

from aejax.cli.main import main

main()

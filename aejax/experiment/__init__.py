"""An experiment: its configuration, what is built from it, and the run that it leaves."""

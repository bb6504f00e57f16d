"""Studies: many trainings under one question."""

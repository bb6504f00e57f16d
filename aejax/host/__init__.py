"""What the machine gives and takes: files, memory, environment, signals, text for a terminal."""

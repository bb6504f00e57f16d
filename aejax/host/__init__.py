"""The operating system: files, memory, environment variables, signals, and text for a terminal."""

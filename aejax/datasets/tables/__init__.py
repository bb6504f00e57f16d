"""Tables as data sets: files are read, columns inferred or declared, and cells become numbers and are written back."""

"""Studies of dictionaries: on data whose true dictionary is known, and on activations of networks."""

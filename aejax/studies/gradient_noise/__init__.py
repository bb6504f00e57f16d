"""How the signal-to-noise ratio of the gradients of importance weighted bounds changes with the samples.

The model and the experiment are those of T. Rainforth et al. (2018), Tighter Variational Bounds are Not Necessarily
Better, section 4; the doubly reparameterized gradient is that of G. Tucker et al. (2019).
"""

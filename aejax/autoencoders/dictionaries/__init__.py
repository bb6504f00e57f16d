"""Dictionaries: sparse autoencoders with more units than features, as for activations of language models.

Each is a constructor `(encoder, decoder, *, ...)`, with two linear maps from `dictionary(features, units)` or any other
networks; `(features, units, *, ...)` stands for the default dictionary. Errors are sums over features, penalties sums
over units, both per example.
"""

from aejax.autoencoders.dictionaries.batch_top_k import batch_top_k as batch_top_k
from aejax.autoencoders.dictionaries.gated import gated as gated
from aejax.autoencoders.dictionaries.jump_relu import jump_relu as jump_relu
from aejax.autoencoders.dictionaries.l1 import l1_dictionary as l1_dictionary
from aejax.autoencoders.dictionaries.matryoshka import matryoshka as matryoshka
from aejax.autoencoders.dictionaries.networks import Dictionary as Dictionary
from aejax.autoencoders.dictionaries.networks import dictionary as dictionary
from aejax.autoencoders.dictionaries.resampling import resampled as resampled
from aejax.autoencoders.dictionaries.top_k import top_k as top_k

"""Dictionaries in the files of other libraries: SAELens, sparsify, Gemma Scope; without PyTorch and without pickle."""

from aejax.formats.families import autoencoder_of as autoencoder_of
from aejax.formats.families import weights_of as weights_of
from aejax.formats.gemma_scope import read_gemma_scope as read_gemma_scope
from aejax.formats.gemma_scope import write_gemma_scope as write_gemma_scope
from aejax.formats.reading import read_dictionary as read_dictionary
from aejax.formats.sae_lens import read_sae_lens as read_sae_lens
from aejax.formats.sae_lens import write_sae_lens as write_sae_lens
from aejax.formats.sparsify import read_sparsify as read_sparsify
from aejax.formats.sparsify import write_sparsify as write_sparsify
from aejax.formats.weights import DictionaryWeights as DictionaryWeights
from aejax.formats.weights import with_folded_decoder_norm as with_folded_decoder_norm
from aejax.formats.weights import with_folded_input_scale as with_folded_input_scale

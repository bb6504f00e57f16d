"""Streams by name: reproducible, and equal neither to each other nor to what a counter or a split gives."""

import jax
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from aejax.keys import named_key


def words(keys):
    return {
        tuple(row) for row in np.asarray(jax.random.key_data(keys)).reshape(-1, jax.random.key_data(keys).shape[-1])
    }


@given(seed=st.integers(0, 2**32 - 1), names=st.sets(st.text(min_size=1), min_size=2, max_size=6))
def test_streams_of_other_names_differ_and_of_one_name_agree(seed, names):
    keys = [named_key(jax.random.key(seed), name) for name in sorted(names)]
    assert len(set().union(*map(words, keys))) == len(names)
    assert words(named_key(jax.random.key(seed), sorted(names)[0])) == words(keys[0])


def test_no_stream_is_a_split_or_a_step_of_its_key():
    key = jax.random.key(0)
    counted = words(jax.random.split(key, 100_000))
    assert len(counted) == 100_000
    assert not counted & words(named_key(key, "noise"))


def test_streams_of_the_rbg_generator_differ():
    key = jax.random.key(0, impl="rbg")
    assert words(named_key(key, "order")) != words(named_key(key, "noise"))

"""The export as a user runs it."""

import json

import jax
import numpy as np
import pytest

from aejax.experiment.configuration import Experiment, Model, Training
from aejax.experiment.trained import open_run

SMALL = Experiment(model=Model(hidden=(8,), code_size=3), training=Training(epochs=1))


@pytest.mark.slow
def test_a_run_is_exported_whole(make_initial_run, run_script, tmp_path):
    run = open_run(make_initial_run(SMALL))
    result = run_script("export", run.path, tmp_path / "out", "--platforms", "cpu", "cuda")
    assert (result.code, result.errors) == (0, "")
    names = {"encode.jax_export", "decode.jax_export", "jacobian.jax_export", "params.safetensors", "export.json"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names
    assert "encode: float32[b,8,8,1] -> float32[b,3]" in result.output
    encode = jax.export.deserialize((tmp_path / "out" / "encode.jax_export").read_bytes())
    assert encode.platforms == ("cpu", "cuda")
    expected = run.encode(run.splits.test)
    np.testing.assert_allclose(encode.call(run.splits.test.x), expected, atol=1e-5)
    assert json.loads((tmp_path / "out" / "export.json").read_text())["parameters"]["shapes"]


@pytest.mark.slow
def test_mistakes(make_initial_run, complaint_of, tmp_path):
    folder = make_initial_run(SMALL)
    assert "missing: is no run folder" in complaint_of("export", "missing", "out")
    assert "platforms must be one or more of cpu, cuda, rocm, tpu, got gpu" in complaint_of(
        "export", folder, "out", "--platforms", "gpu"
    )
    (tmp_path / "out").mkdir()
    assert "out: exists already" in complaint_of("export", folder, "out")

"""Which fine-tuned models are offered beside the frozen backbone."""

import json

import numpy as np
from segment_data import scan_of

from lithoscope.cli import run
from lithoscope.explain.tuned import tuned_models


def test_models_taught_with_adapters_are_found_and_others_are_not(tmp_path):
    scan = scan_of(np.random.default_rng(0).integers(0, 255, (8, 20, 20), np.uint8), tmp_path / "s.zarr")
    for name, about in (
        ("mine", {"name": "dino", "parameters": {"tuning": "lora", "backbone": "lithoscope-tiny"}}),
        ("other", {"name": "dino", "parameters": {"tuning": "lora", "backbone": "dinov2-small"}}),
        ("frozen", {"name": "dino", "parameters": {"tuning": "frozen", "backbone": "lithoscope-tiny"}}),
        ("odd", ["not a model"]),
    ):
        folder = scan.sidecar / "models" / name
        folder.mkdir(parents=True)
        (folder / "model.json").write_text(json.dumps(about))
    assert [name for name, _ in tuned_models(scan)] == ["mine", "other"]
    assert [name for name, _ in tuned_models(scan, "lithoscope-tiny")] == ["mine"]
    assert run(["segment", str(scan.path), "--method", "otsu", "--output", "otsu"]) == 0
    assert len(tuned_models(scan)) == 2

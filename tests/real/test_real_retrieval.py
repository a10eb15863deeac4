"""The seven shared genera of microfossils, judged by the SCAMPI protocol with plain pixels."""

import json

import numpy as np
import pytest
from PIL import Image
from retrieval_data import independent

from lithoscope.cli import run


def test_pixels_of_fossils_score_as_scikit_learn_says(shared_data, capsys):
    folder = shared_data / "retrieval" / "fossils"
    assert run(["evaluate-retrieval", str(folder), "--features", "pixels16", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    vectors, names = [], []
    for path in sorted(folder.glob("*/*.jpg")):
        seen = Image.open(path).convert("RGB").resize((256, 256), Image.Resampling.BICUBIC).crop((16, 16, 240, 240)).convert("L")
        vectors.append(np.asarray(seen.resize((16, 16), Image.Resampling.BOX), float).ravel())
        names.append(path.parent.name)
    for key, value in independent(np.stack(vectors), names).items():
        assert answer[key] == pytest.approx(value, abs=1e-9), key
    assert answer["n"] == 98
    assert answer["p_at_nk"] == pytest.approx(0.32, abs=0.01)
    assert answer["nn_f1"] == pytest.approx(0.42, abs=0.01)

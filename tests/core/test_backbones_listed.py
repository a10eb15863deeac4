"""The list of backbones, and the weights that come with the product, without any network library."""

import json

from lithoscope.cli.commands import command
from lithoscope.features import backbones


def test_the_shipped_weights_are_whole_and_small():
    folder = backbones.shipped_folder()
    told = json.loads((folder / "checksum.json").read_text(encoding="utf-8"))
    assert backbones.verified(folder)
    assert backbones.sha256(folder / "pca.safetensors") == told["pca_sha256"]
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 12_000_000
    assert "BSD-3-Clause" in (folder / "CARD.md").read_text(encoding="utf-8")


def test_the_list_says_what_ships_what_is_here_and_how_to_get_the_rest(monkeypatch, tmp_path):
    monkeypatch.setenv("LITHOSCOPE_BACKBONES", str(tmp_path))
    listed = {b["name"]: b for b in command("backbones")()["backbones"]}
    own = listed["lithoscope-tiny"]
    assert own["shipped"]
    assert own["present"]
    assert own["license"] == "BSD-3-Clause"
    assert len(own["sha256"]) == 64
    other = listed["dinov2-base"]
    assert not other["present"]
    assert str(tmp_path / "dinov2-base") in other["to_get"]


def test_nothing_that_is_not_metas_is_called_dinov2():
    assert all(k.origin.startswith("facebook/") for k in backbones.KNOWN if "dino" in k.name)

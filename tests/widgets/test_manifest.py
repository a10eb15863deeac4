"""Napari finds the plugin's manifest, and everything it names can be imported."""

from npe2 import PluginManifest


def test_the_manifest_is_found_and_its_commands_import():
    manifest = PluginManifest.from_distribution("lithoscope")
    assert manifest.name == "lithoscope"
    manifest.validate_imports()

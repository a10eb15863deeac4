"""A real window opens on the screen that the tests are given."""


def test_napari_opens_with_the_plugin_installed(make_napari_viewer):
    from npe2 import PluginManager

    viewer = make_napari_viewer(show=True)
    assert viewer.window._qt_window.isVisible()
    assert PluginManager.instance() is not None

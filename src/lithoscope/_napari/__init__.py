"""The docks, readers and writers inside napari: the only folder that imports Qt or napari."""

"""The Explain dock: what the network sees of the plane in view, and a map of patches."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtGui import QPixmap
from qtpy.QtWidgets import QFileDialog, QLabel, QSlider, QWidget

from lithoscope._napari.background import Background, sentence
from lithoscope._napari.dock import Dock
from lithoscope._napari.explain_layers import OPACITY
from lithoscope._napari.explain_options import ExplainOptions
from lithoscope._napari.explaining import Explaining
from lithoscope._napari.kept_panel import KeptPanel
from lithoscope._napari.look import button, column, mark_bad, row, rule, text
from lithoscope._napari.looking import look_at_plane
from lithoscope._napari.map_panel import MapPanel
from lithoscope._napari.worker_client import Job
from lithoscope.explain import keeping
from lithoscope.volume.store import storage_errors

if TYPE_CHECKING:
    from lithoscope.explain.overlay import Overlay
    from lithoscope.volume.scan import Scan

RAMP = (120, 12)
"""Width and height of the colour key in pixels."""
NO_TORCH = "what the network sees needs torch: pip install 'lithoscope[networks]'"


class ExplainDock(Dock):
    """Overlays, their key and notes, keeping and saving them, and the map."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        self._name = text(bold=True)
        self.explaining = Explaining(self.session, self)
        self.options = ExplainOptions()
        self._key = ColourKey()
        self._notes = text(muted=True)
        self._notes.setAccessibleName("What is shown")
        self._opacity = QSlider(Qt.Orientation.Horizontal)
        self._opacity.setAccessibleName("How much the overlay covers")
        self._opacity.setRange(5, 100)
        self._opacity.setValue(round(100 * OPACITY))
        self.whole_button = button("Over the whole scan", tip="Compare every token of the scan with this one; a layer of its own shows it")
        self.keep_button = button("Keep", "Keep this overlay beside the scan", "Keep this overlay beside the scan, to be found again")
        self.save_button = button("Save figure…", "Save the plane with this overlay as a figure, an image or a table")
        self._below = QWidget()
        self._below.setLayout(
            column(
                self._key,
                self._notes,
                row(text("Opacity", muted=True, wrap=False), self._opacity),
                self.whole_button,
                row(self.keep_button, self.save_button, 1),
            )
        )  # fmt: skip
        self.kept = KeptPanel(self.session)
        self.map = MapPanel(self.session, self.explaining)
        layout = column(self._name, self.options, self._below, self.kept, rule(), self.map)
        layout.addStretch(1)
        self.body.setLayout(layout)
        self._overlays: list[Overlay] = []
        self._dialog: QFileDialog | None = None
        self._slow = Background(self)
        self._slow.failed.connect(self._on_failed)
        self.session.closing.connect(self._slow.close)
        self.options.changed.connect(self._on_wish)
        self.kept.opened.connect(self.show_kept)
        self.explaining.shown.connect(self._on_shown)
        self.explaining.busy.connect(self._on_busy)
        self.explaining.refused.connect(self._on_refused)
        self.session.results_changed.connect(self.show_results)
        self._opacity.valueChanged.connect(self._on_opacity)
        self.whole_button.clicked.connect(self._on_whole)
        self.keep_button.clicked.connect(self._on_keep)
        self.save_button.clicked.connect(self._on_save)
        self.destroyed.connect(self.explaining.deleteLater)
        self._on_shown([])
        self._slow.start(backbones_here, self._on_backbones)
        self.finish()

    def restyle(self) -> None:
        super().restyle()
        self.map.set_colours(self.colours)

    def put_away(self) -> None:
        super().put_away()
        self.explaining.leave()

    def on_scan(self) -> None:
        super().on_scan()
        scan = self.session.scan
        self._name.setText("" if scan is None else scan.name)
        self.show_results()
        self.map.on_scan()
        self.kept.list_kept()
        self._on_wish()

    def show_results(self) -> None:
        """List the results."""
        names = self.session.results()
        self.options.show_results(names)
        if (scan := self.session.scan) is not None:
            from lithoscope.explain.tuned import tuned_models

            self._slow.start(lambda: tuned_models(scan), self._on_tuned)
        self.map.show_results(names)

    def _on_tuned(self, found: list[tuple[str, Path]]) -> None:
        self.options.show_tuned([(name, str(folder)) for name, folder in found])

    def _on_backbones(self, found: list[tuple[str, str, int, int]]) -> None:
        self.options.show_backbones(found)
        self.map.check("" if found else NO_TORCH)
        self._on_wish()

    def _on_wish(self) -> None:
        wish = self.options.wish()
        if self.session.scan is not None:
            self.explaining.show(wish)

    def _on_shown(self, overlays: "list[Overlay]") -> None:
        self._overlays = overlays
        self._below.setVisible(bool(overlays) or bool(self.options.kind.currentData()))
        self._key.show_overlay(overlays[0] if overlays else None)
        if overlays and (known := self.explaining.known()) is not None:
            self.options.show_shape(*known)
        mark_bad(self._notes, False)
        self._notes.setText("\n".join(f"{o.title}\n" + " · ".join(n for n in o.notes if n) for o in overlays))
        self._notes.setMinimumHeight(max(0, self._notes.heightForWidth(self._notes.width())))
        for part in (self.keep_button, self.save_button):
            part.setEnabled(bool(overlays))
        self.whole_button.setVisible(bool(overlays) and overlays[0].kind == "similarity")

    def _on_busy(self, words: str) -> None:
        if words and not self._overlays:
            mark_bad(self._notes, False)
            self._notes.setText(words)

    def _on_refused(self, words: str) -> None:
        self._on_shown([])
        self._notes.setText(words)
        mark_bad(self._notes, True)

    def _on_opacity(self, percent: int) -> None:
        self.explaining.layers.set_opacity(percent / 100)

    def _on_whole(self) -> None:
        scan = self.session.scan
        if scan is None or not self._overlays or (at := self._overlays[0].at) is None:
            return
        across, said = self._overlays[0].place.axis, ",".join(map(str, at))
        axis = "zyx"[across]
        target = keeping.folder(scan) / f"{keeping.volume_name(self.explaining.wish.backbone, across, at)}.zarr"
        arguments = {
            "scans": [str(scan.path)], "out": str(target), "kind": "similarity", "backbone": self.explaining.wish.backbone, "token": said,
            "plane": f"{axis}={at['zyx'.index(axis)]}", "whole": True, "image": self.session.images.chosen, "overwrite": True,
        }  # fmt: skip
        with self.session.telling(), storage_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            self.session.run("explain", arguments, f"likeness to {said}", self._on_likeness)

    def _on_likeness(self, job: Job) -> None:
        scan = self.session.scan
        if job.state == "done" and scan is not None and job.arguments["scans"] == [str(scan.path)]:
            self.explaining.layers.show_volume(scan, Path(job.result["output"]))
            self.session.said.emit(" · ".join(job.result["notes"]), False)
            self.kept.list_kept()

    def show_kept(self, found: "Overlay | Path") -> None:
        """Show what was kept, on its plane, in place of what follows the plane in view."""
        scan = self.session.scan
        if scan is None:
            return
        self.options.choose_nothing()
        self.explaining.show(self.options.wish())
        if isinstance(found, Path):
            self.explaining.layers.show_volume(scan, found)
        else:
            if (image := self.session.layer("image")) is not None:
                look_at_plane(self.session.viewer, image, found.place.axis, found.place.index)
            self.explaining.layers.show(scan, [found])
            self._on_shown([found])

    def _on_keep(self) -> None:
        scan, overlays = self.session.scan, list(self._overlays)
        if scan is not None and overlays:
            self._slow.start(lambda: [keeping.keep(scan, overlay) for overlay in overlays], self._on_kept)

    def _on_kept(self, paths: list[Path]) -> None:
        self.session.said.emit(f"kept as {', '.join(p.stem for p in paths)} in {paths[0].parent}", False)
        self.kept.list_kept()

    def _on_save(self) -> None:
        scan, overlays = self.session.scan, list(self._overlays)
        if scan is None or not overlays:
            return
        dialog = QFileDialog(self, "Save what is shown", "", "Figure (*.png *.svg);;OME-Zarr at token resolution (*.zarr);;Table (*.csv)")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("png")
        dialog.setModal(False)
        image = self.session.images.chosen
        dialog.fileSelected.connect(lambda name: self.save(Path(name), scan, overlays, image))
        self._dialog = dialog
        dialog.show()

    def save(self, target: Path, scan: "Scan", overlays: "list[Overlay]", image: str | None) -> None:
        """Save what was shown when the file was asked for; the person has agreed to replace a file."""
        from lithoscope.explain.figure import figure

        opacity = self._opacity.value() / 100

        def work() -> Path:
            if target.suffix.lower() == ".zarr":
                return keeping.write(target, overlays[0], scan, overwrite=True)
            if target.suffix.lower() == ".csv":
                return keeping.table(target, overlays[0])
            return figure(scan, overlays, image=image, opacity=opacity).save(target)

        self._slow.start(work, self._on_saved)

    def _on_saved(self, path: Path) -> None:
        self.session.said.emit(f"saved as {path}", False)

    def _on_failed(self, error: BaseException) -> None:
        self.session.said.emit(sentence(error), True)


class ColourKey(QWidget):
    """The colours of an overlay and what their two ends mean."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._low, self._high, self._ramp = text(wrap=False), text(wrap=False), QLabel()
        self._ramp.setAccessibleName("Colour key")
        self._ramp.setFixedSize(*RAMP)
        self.setLayout(row(self._low, self._ramp, self._high, 1))
        self._shown: tuple[Any, ...] | None = None

    def show_overlay(self, overlay: "Overlay | None") -> None:
        """Show the key of an overlay, or none."""
        self.setVisible(overlay is not None)
        if overlay is None or self._shown == (key := (overlay.coloured, overlay.colours, overlay.ends)):
            return
        self._shown = key
        self._ramp.setVisible(not overlay.coloured)
        if overlay.coloured:
            self._low.setText(
                'components <span style="color:#ff5040">■</span>&nbsp;1st <span style="color:#4fc85a">■</span>&nbsp;2nd '
                '<span style="color:#5a8cff">■</span>&nbsp;3rd'
            )
            self._high.setText("")
            return
        self._low.setText(overlay.ends[0])
        self._high.setText(overlay.ends[1])
        self._ramp.setPixmap(_ramp(overlay.colours))


def _ramp(colours: Any) -> QPixmap:
    import numpy as np
    from qtpy.QtGui import QImage

    from lithoscope.explain.palettes import coloured

    held = np.repeat(coloured(np.linspace(0, 1, RAMP[0], dtype=np.float32)[None], (0, 1), colours), RAMP[1], 0).tobytes()
    return QPixmap.fromImage(QImage(held, *RAMP, 4 * RAMP[0], QImage.Format.Format_RGBA8888).copy())


def backbones_here() -> list[tuple[str, str, int, int]]:
    """The backbones that can be opened now: name, title, blocks and heads; none without torch."""
    from importlib.util import find_spec

    if find_spec("torch") is None:
        return []
    from lithoscope.features import backbones

    found = []
    for entry in backbones.listing():
        if entry["present"]:
            # Others are not opened before they are asked: theirs may be gigabytes.
            config = backbones.open_backbone(entry["name"]).config if entry["shipped"] else None
            depth, heads = (12, 6) if config is None else (config.depth, config.heads)
            found.append((entry["name"], f"{entry['title']} ({entry['license']})", depth, heads))
    return found

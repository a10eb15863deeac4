"""DICOM: a series of slices in a folder, or a file of many frames, ordered by position and held to be whole."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lithoscope.errors import ChoiceError, InputError, MissingError, UnreadableError
from lithoscope.volume.formats.axes import NOTHING, Wish, chosen, described
from lithoscope.volume.formats.extras import needed
from lithoscope.volume.formats.rescale import Rescale
from lithoscope.volume.formats.source import COLOUR, DAMAGE, by, checked_shape, natural, one_line
from lithoscope.volume.voxel import Voxel

SUFFIXES = (".dcm", ".dicom", ".ima")
READ = (
    "SeriesInstanceUID", "SeriesNumber", "SeriesDescription", "StudyDescription", "InstanceNumber", "ImagePositionPatient", "PixelSpacing",
    "ImageOrientationPatient", "SliceLocation", "SliceThickness", "SpacingBetweenSlices", "Rows", "Columns", "BitsAllocated", "BitsStored",
    "PixelRepresentation", "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames", "RescaleSlope", "RescaleIntercept", "KVP",
    "TemporalPositionIdentifier", "AcquisitionNumber", "AcquisitionTime", "PatientID", "PatientBirthDate", "PatientSex", "PatientAge",
    "Manufacturer", "ManufacturerModelName", "ConvolutionKernel", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
    "FloatPixelData", "SOPClassUID",
)  # fmt: skip
UNEVEN = 0.05
"""Steps between slices that differ by more of a step than this are a gap."""


@dataclass(frozen=True, slots=True)
class Slice:
    """One plane: the file, the frame in it (or None), its place along the normal, its number, and how its values are scaled."""

    file: Path
    frame: int | None
    header: Any
    place: float | None
    number: int | None
    slope: float
    intercept: float

    @property
    def when(self) -> tuple[Any, ...]:
        """What orders the slices of one place in time."""
        h = self.header
        return (
            int(h.get("TemporalPositionIdentifier") or 0), int(h.get("AcquisitionNumber") or 0),
            str(h.get("AcquisitionTime") or ""), self.number or 0,
        )  # fmt: skip


def is_dicom(file: Path) -> bool:
    """Whether a file is DICOM, by its mark or its name."""
    if file.name.upper() == "DICOMDIR" or not file.is_file():
        return False
    with file.open("rb") as opened:
        return opened.read(132)[128:] == b"DICM" or file.suffix.lower() in SUFFIXES


class DicomSource:
    """The slices of one series as (z, y, x), by position; rescaled to the values that they stand for."""

    def __init__(self, path: Path, files: Sequence[Path], dataset: str | None = None, wish: Wish = NOTHING) -> None:
        self._pydicom = needed("pydicom", path, "DICOM")
        self.path = path
        headers = [(file, self._header(file)) for file in sorted(files, key=lambda f: natural(f.name))]
        series = self._series(headers, dataset)
        slices = [s for file, header in series for s in _slices(file, header)]
        first = slices[0].header
        _check_alike(slices)
        if int(first.get("SamplesPerPixel", 1)) != 1:
            raise UnreadableError(f"{path} is in colour ({first.get('PhotometricInterpretation')}); {COLOUR}")
        self._slices, step = _ordered(slices, path, wish)
        stored = np.dtype(f"{'i' if int(first.get('PixelRepresentation', 0)) else 'u'}{int(first.BitsAllocated) // 8}")
        scales = {(s.slope, s.intercept) for s in self._slices}
        rescales = [Rescale.of(stored, *scale, bits=int(first.get("BitsStored", first.BitsAllocated)), name=path) for scale in scales]
        self.dtype = rescales[0].dtype if len(scales) == 1 else np.dtype(np.float32)
        self.shape = checked_shape((len(self._slices), int(first.Rows), int(first.Columns)), stored, path)
        self.voxel = _voxel(first, step)
        self.metadata: dict[str, Any] = {"format": "DICOM", "name": path.name, "dtype": str(stored), **described(wish), **_about(first)}
        if len(scales) > 1:
            self.metadata["rescaled"] = "slice by slice"
        elif not rescales[0].plain:
            self.metadata |= {"slope": rescales[0].slope, "intercept": rescales[0].intercept}
        self._plane(len(self._slices) // 2)

    def _header(self, file: Path) -> Any:
        try:
            header = self._pydicom.dcmread(file, stop_before_pixels=True, specific_tags=list(READ))
            for name in READ:
                header.get(name)  # values are made sense of when they are asked for
        except (self._pydicom.errors.InvalidDicomError, self._pydicom.errors.BytesLengthException, OSError, *DAMAGE) as error:
            raise UnreadableError(f"{file} is damaged or not DICOM: {one_line(error)}") from error
        if "Rows" not in header or "Columns" not in header or "BitsAllocated" not in header:
            raise UnreadableError(f"{file} is DICOM but holds no image, or is cut short; take it out of the folder or copy it again")
        return header

    def _series(self, headers: list[tuple[Path, Any]], wanted: str | None) -> list[tuple[Path, Any]]:
        """The files of the one series, or of the one asked for by number or UID."""
        found: dict[str, list[tuple[Path, Any]]] = defaultdict(list)
        for file, header in headers:
            found[str(header.get("SeriesInstanceUID", ""))].append((file, header))
        if wanted is None and len(found) == 1:
            return headers
        numbers = {uid: str(group[0][1].get("SeriesNumber", "") or "") for uid, group in found.items()}
        unique = len(set(numbers.values())) == len(numbers) and "" not in numbers.values()
        names = {(numbers[uid] if unique else uid): group for uid, group in found.items()}
        if wanted in names or wanted in found:
            return names.get(str(wanted)) or found[str(wanted)]
        listed = ", ".join(f"{name} ({len(g)} slices{_titled(g[0][1])})" for name, g in itertools.islice(names.items(), 6))
        if wanted is not None:
            raise MissingError(f"there is no series {wanted!r} in {self.path}; there are {listed}")
        labels = {name: f"{name}: {len(g)} slices{_titled(g[0][1])}" for name, g in names.items()}
        raise ChoiceError(f"{self.path} holds {len(found)} series: {listed}; choose one with --dataset", {"dataset": labels})

    def planes(self, z0: int, z1: int) -> npt.NDArray[Any]:
        """The planes z0 ≤ z < z1, (z1 - z0, y, x)."""
        return np.stack([self._plane(z) for z in range(z0, z1)])

    def _plane(self, z: int) -> npt.NDArray[Any]:
        part = self._slices[z]
        try:
            if part.frame is None:
                values = self._pydicom.dcmread(part.file).pixel_array
            else:
                values = self._pydicom.pixels.pixel_array(part.file, index=part.frame)
        except (OSError, NotImplementedError, *DAMAGE) as error:
            packed = "decompress" in str(error).lower() or "plugin" in str(error).lower() or isinstance(error, NotImplementedError)
            if packed:
                raise UnreadableError(f"{part.file} is compressed; install its decoder: pip install 'pylibjpeg[all]'") from error
            raise UnreadableError(f"{part.file} is damaged: {one_line(error)}; copy it again") from error
        if values.shape != self.shape[1:]:
            raise UnreadableError(f"{part.file} holds {by(values.shape)} values, not {by(self.shape[1:])}; copy it again")
        return Rescale(self.dtype, part.slope, part.intercept)(values)

    def close(self) -> None: ...


def _slices(file: Path, header: Any) -> list[Slice]:
    """The planes in a file: one, or one a frame."""
    frames = int(header.get("NumberOfFrames") or 1)
    shared = header.get("SharedFunctionalGroupsSequence")
    groups = header.get("PerFrameFunctionalGroupsSequence")
    number = header.get("InstanceNumber")
    if frames == 1 and not groups:
        slope, intercept = float(header.get("RescaleSlope") or 1), float(header.get("RescaleIntercept") or 0)
        place = _place(header.get("ImagePositionPatient"), header.get("ImageOrientationPatient"), header.get("SliceLocation"))
        return [Slice(file, None, header, place, None if number is None else int(number), slope, intercept)]
    found = []
    for index in range(frames):
        own = [g for g in ((groups[index] if groups and index < len(groups) else None), shared[0] if shared else None) if g is not None]
        position = _nested(own, "PlanePositionSequence", "ImagePositionPatient")
        normal = _nested(own, "PlaneOrientationSequence", "ImageOrientationPatient")
        for key in ("PixelSpacing", "SliceThickness", "SpacingBetweenSlices"):
            if key not in header and (value := _nested(own, "PixelMeasuresSequence", key)) is not None:
                setattr(header, key, value)
        slope = _nested(own, "PixelValueTransformationSequence", "RescaleSlope") or header.get("RescaleSlope") or 1
        intercept = _nested(own, "PixelValueTransformationSequence", "RescaleIntercept") or header.get("RescaleIntercept") or 0
        found.append(Slice(file, index, header, _place(position, normal, None), index, float(slope), float(intercept)))
    return found


def _nested(groups: list[Any], sequence: str, key: str) -> Any:
    for group in groups:
        inner = group.get(sequence)
        if inner and inner[0].get(key) is not None:
            return inner[0].get(key)
    return None


def _place(position: Any, orientation: Any, location: Any) -> float | None:
    """How far along the slices' normal a slice lies, in mm."""
    try:
        if position is not None and len(position) == 3:
            along = np.array([1.0, 0, 0, 0, 1, 0]) if orientation is None else np.array([float(v) for v in orientation])
            return float(np.dot(np.cross(along[:3], along[3:]), [float(v) for v in position]))
        return None if location is None else float(location)
    except DAMAGE:
        return None


def _check_alike(slices: list[Slice]) -> None:
    """Every slice must be of the size, type, spacing and direction that most have."""
    for key, what in (
        ("Rows", "rows"), ("Columns", "columns"), ("BitsAllocated", "bits"), ("PixelRepresentation", "sign"),
        ("SamplesPerPixel", "samples"), ("PixelSpacing", "pixel spacing"), ("ImageOrientationPatient", "direction"),
    ):  # fmt: skip
        found = [_rounded(s.header.get(key)) for s in slices]
        usual = Counter(found).most_common(1)[0][0]
        for part, value in zip(slices, found, strict=True):
            if value != usual:
                raise InputError(
                    f"{part.file.name} has {what} {_said(value)}, the other slices {_said(usual)}; all must be alike: take the odd ones out"
                )


def _rounded(value: Any) -> tuple[float, ...]:
    """A header's number or numbers, so that what differs in the fourth digit only is equal."""
    if value is None or value == "":
        return ()
    return tuple(float(f"{float(v):.4g}") for v in (value if isinstance(value, Sequence) and not isinstance(value, str) else [value]))


def _said(value: tuple[float, ...]) -> str:
    return ", ".join(f"{v:g}" for v in value) or "unknown"


def _ordered(slices: list[Slice], path: Path, wish: Wish) -> tuple[list[Slice], float | None]:
    """The slices of one time point by position, and the distance between two; gaps and doubled slices are refused."""
    if all(s.place is not None for s in slices) and len({round(s.place or 0.0, 3) for s in slices}) > 1:
        keys, unit = [float(s.place or 0.0) for s in slices], " mm"
    elif all(s.number is not None for s in slices):
        keys, unit = [float(s.number or 0) for s in slices], ""
    else:
        chosen(path, (), wish)
        return sorted(slices, key=lambda s: (natural(s.file.name), s.frame or 0)), None
    places: dict[float, list[Slice]] = defaultdict(list)
    for key, part in zip(keys, slices, strict=True):
        places[round(key, 3)].append(part)
    doubled = {len(group) for group in places.values()}
    if doubled == {1}:
        chosen(path, (), wish)
    elif len(doubled) == 1 and len({s.when[:3] for s in slices}) > 1:
        pick = chosen(path, [("t", doubled.pop())], wish)[0]
        places = {key: [sorted(group, key=lambda s: s.when)[pick]] for key, group in places.items()}
    else:
        group = next(g for g in places.values() if len(g) > 1)
        raise InputError(f"{group[0].file.name} and {group[1].file.name} are at the same place ({group[0].place}{unit}); keep one of them")
    order = sorted(places)
    step = _step(order, places, unit) if len(order) > 1 else None
    return [places[key][0] for key in order], step if unit else None


def _step(order: list[float], places: dict[float, list[Slice]], unit: str) -> float:
    """The distance between neighbours, which must be the same throughout."""
    steps = np.diff(order)
    usual = float(np.median(steps)) if len(steps) > 2 else float(steps.min())
    for at, step in enumerate(steps):
        if abs(step - usual) > max(UNEVEN * usual, 2e-3 if unit else 0):
            before, after = places[order[at]][0].file.name, places[order[at + 1]][0].file.name
            what = "a slice is missing" if step > usual else "the distance changes"
            raise InputError(
                f"{what} between {before} and {after}: they are {step:g}{unit} apart, the others {usual:g}{unit}; "
                f"restore it, or import a part without gaps"
            )
    return (order[-1] - order[0]) / (len(order) - 1)


def _voxel(header: Any, step: float | None) -> Voxel | None:
    spacing = header.get("PixelSpacing")
    try:
        y, x = (float(v) for v in spacing)
        z = step or float(header.get("SpacingBetweenSlices") or header.get("SliceThickness") or y)
        return Voxel((abs(z), y, x), "mm")
    except (TypeError, InputError, *DAMAGE):
        return None


def _about(header: Any) -> dict[str, Any]:
    """Energy, device and sample. Who a person is stays in the file: an ID is taken only where nobody's birth, sex or age is given."""
    said: dict[str, Any] = {}
    if header.get("KVP"):
        said["energy"] = f"{float(header.KVP):g} kV"
    if not any(header.get(key) for key in ("PatientBirthDate", "PatientSex", "PatientAge")) and header.get("PatientID"):
        said["sample"] = str(header.PatientID)
    device = " ".join(str(header.get(key, "")) for key in ("Manufacturer", "ManufacturerModelName")).strip()
    for key, value in (("device", device), ("series", header.get("SeriesDescription")), ("kernel", header.get("ConvolutionKernel"))):
        if value:
            said[key] = str(value).strip()
    return said


def _titled(header: Any) -> str:
    title = str(header.get("SeriesDescription") or "").strip()
    return f", {title}" if title else ""

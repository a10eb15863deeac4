"""The command that shows what the network sees: one figure, overlay or table a run."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lithoscope.errors import InputError, TakenError
from lithoscope.job import Progress, Report, silent
from lithoscope.volume.store import storage_errors

if TYPE_CHECKING:
    from lithoscope.explain.overlay import Overlay
    from lithoscope.explain.views import Views
    from lithoscope.volume.box import Triple
    from lithoscope.volume.scan import Scan

Json = dict[str, Any]
Kind = Literal["pca", "attention", "rollout", "similarity", "certainty", "disagreement", "embedding"]
KINDS = ("pca", "attention", "rollout", "similarity", "certainty", "disagreement", "embedding")
ENDINGS = (".png", ".svg", ".zarr", ".csv")


def explain(
    scans: Sequence[str],
    out: str,
    *,
    kind: Kind,
    backbone: str = "lithoscope-tiny",
    tuned: str | None = None,
    result: Sequence[str] | None = None,
    plane: str | None = None,
    token: str | None = None,
    block: int | None = None,
    head: int | None = None,
    window: int | None = None,
    mass: float = 0.5,
    whole: bool = False,
    basis: str = "backbone",
    foreground: float | None = None,
    below: bool = False,
    method: Literal["pca", "tsne"] = "tsne",
    count: int = 3000,
    samples: bool = False,
    color: str | None = None,
    metadata: str | None = None,
    perplexity: float = 30.0,
    scale: float = 1.0,
    image: str | None = None,
    device: str = "auto",
    seed: int = 0,
    overwrite: bool = False,
    report: Report = silent,
) -> Json:
    """A figure (.png, .svg), an overlay at token resolution (.zarr) or a table (.csv) of what the network sees of a scan.

    Overlays are also kept in the scan's sidecar. Answers with `output`, `title`, `notes`, and `kept`.
    """
    from lithoscope.explain.place import AXES, checked, place_of, plane_of
    from lithoscope.volume.scan import Scan

    target = Path(out)
    _check(kind, target, scans, overwrite, mass, token)
    opened = [Scan.open(Path(path)) for path in scans]
    for scan in opened:
        scan.array(image)
    if kind == "embedding":
        return _embedding(
            opened, target, backbone=backbone, result=result, plane=plane, method=method, count=count, samples=samples, color=color,
            metadata=metadata, perplexity=perplexity, scale=scale, image=image, device=device, seed=seed, report=report,
        )  # fmt: skip
    scan = opened[0]
    at: Triple | None = None if token is None else place_of(token, scan)
    axis, index = plane_of(plane, scan) if plane is not None else (0, scan.shape[0] // 2 if at is None else at[0])
    if at is not None and at[axis] != index:
        raise InputError(f"token {token} does not lie on plane {AXES[axis]}={index}; give --plane {AXES[axis]}={at[axis]}")
    checked(axis, index, scan)
    if kind in ("certainty", "disagreement"):
        made = [_said(kind, scan, list(result or ()), axis, index, report)]
    else:
        from lithoscope.explain.views import Views

        views = Views(scan, backbone, tuned=tuned, image=image, scale=scale, device=_device(device))
        if kind == "similarity" and whole:
            assert at is not None
            return _likeness(views, axis, at, target, report)
        made = _seen(
            views, kind, axis, index, at, block=-1 if block is None else block, head=head, pixels=window, mass=mass, whole=whole,
            basis=basis, foreground=foreground, below=below, report=report,
        )  # fmt: skip
    return _written(scan, made, target, image, overwrite)


def _check(kind: str, target: Path, scans: Sequence[str], overwrite: bool, mass: float, token: str | None) -> None:
    """What can be refused before anything is read."""
    from lithoscope.explain.keeping import check_replaceable

    if kind not in KINDS:
        raise InputError(f"kind {kind!r} is not one of {', '.join(KINDS)}")
    endings = tuple(e for e in ENDINGS if kind != "embedding" or e != ".zarr")
    if target.suffix.lower() not in endings:
        raise InputError(f"{target.name} does not end in one of {' '.join(endings)}, which say what is written")
    if not scans:
        raise InputError(f"no scan is named: lithoscope explain SCAN --kind {kind} {target.name}")
    if len(scans) > 1 and kind != "embedding":
        raise InputError(f"--kind {kind} shows one scan; name one, or make --kind embedding of several")
    if not 0 <= mass <= 1:
        raise InputError(f"--mass {mass:g} is not a part of the whole; give 0 to 1")
    if kind == "similarity" and token is None:
        raise InputError("--kind similarity compares with a token; name a voxel of it: --token z,y,x")
    if target.exists() and not overwrite:
        raise TakenError(f"{target} exists already; give another name, or --overwrite")
    if target.suffix.lower() == ".zarr":
        check_replaceable(target)
    with storage_errors(target):
        if not target.parent.is_dir():
            raise InputError(f"the folder {target.parent} is not there; make it, or write elsewhere")
        probe = target.with_name(f".{target.name}.probe")
        probe.touch()
        probe.unlink()


def _said(kind: str, scan: "Scan", results: list[str], axis: int, index: int, report: Report) -> "Overlay":
    from lithoscope.explain.certainty import certainty, disagreement

    def check() -> None:
        report(Progress(0, 1, kind))

    if kind == "disagreement" or len(results) > 1:
        return disagreement(scan, results, axis, index, check)
    if not results:
        raise InputError("certainty is of a result; name it: --result NAME")
    return certainty(scan, results[0], axis, index, check)


def _seen(
    views: "Views",
    kind: str,
    axis: int,
    index: int,
    at: "Triple | None",
    *,
    block: int,
    head: int | None,
    pixels: int | None,
    mass: float,
    whole: bool,
    basis: str,
    foreground: float | None,
    below: bool,
    report: Report,
) -> list["Overlay"]:
    def check() -> None:
        report(Progress(0, 1, kind))

    check()
    if kind == "pca":
        keep: Literal["above", "below"] = "below" if below else "above"
        made = [views.pca(axis, index, basis=basis, foreground=foreground, keep=keep, report=report)]
        if views.has_tuned:
            made.append(views.pca_tuned(axis, index, foreground=foreground, keep=keep))
        return made
    if kind == "similarity":
        assert at is not None
        return [views.similarity(axis, at)]
    if whole:
        how: Json = {"mass": mass} if kind == "rollout" else {"mass": mass, "block": block, "head": head}
        return [views.whole(kind, axis, index, pixels=pixels, report=report, **how)]
    middle = [n // 2 for n in views.scan.shape]
    middle[axis] = index
    place = at or (middle[0], middle[1], middle[2])
    if kind == "rollout":
        return [views.rollout(axis, place, follow=at is not None, mass=mass, pixels=pixels, check=check)]
    return [views.attention(axis, place, follow=at is not None, block=block, head=head, mass=mass, pixels=pixels, check=check)]


def _likeness(views: "Views", axis: int, at: "Triple", target: Path, report: Report) -> Json:
    """Likeness over the whole scan, as an image at token resolution."""
    from lithoscope.explain.similarity import over_volume

    if target.suffix.lower() != ".zarr":
        raise InputError(f"likeness over the whole scan is written as .zarr, not {target.suffix}; a figure shows a plane, without --whole")
    best, where = over_volume(views.source, at, axis, target, report)
    said = ",".join(map(str, where))
    notes = [f"planes across {'zyx'[axis]}", f"most alike elsewhere: {said} ({best:.2f})"]
    title = f"likeness to the token at {','.join(map(str, at))}, over the scan"
    about = {"best": best, "at": list(where)}
    return {"output": str(target), "kind": "similarity", "title": title, "notes": notes, "about": about, "kept": []}


def _written(scan: "Scan", made: list["Overlay"], target: Path, image: str | None, overwrite: bool) -> Json:
    from lithoscope.explain import keeping
    from lithoscope.explain.figure import figure

    ending = target.suffix.lower()
    if ending == ".zarr":
        keeping.write(target, made[-1], scan, overwrite=overwrite)
    elif ending == ".csv":
        keeping.table(target, made[-1])
    else:
        figure(scan, made, image=image).save(target)
    kept = [] if scan.readonly else [str(keeping.keep(scan, overlay)) for overlay in made]
    last = made[-1]
    return {
        "output": str(target),
        "kind": last.kind,
        "title": last.title,
        "notes": [note for overlay in made for note in overlay.notes if note],
        "plane": ["zyx"[last.place.axis], last.place.index],
        "shape": list(last.values.shape[:2]),
        "about": last.about,
        "kept": kept,
    }


def _embedding(
    scans: list["Scan"],
    target: Path,
    *,
    backbone: str,
    result: Sequence[str] | None,
    plane: str | None,
    method: Literal["pca", "tsne"],
    count: int,
    samples: bool,
    color: str | None,
    metadata: str | None,
    perplexity: float,
    scale: float,
    image: str | None,
    device: str,
    seed: int,
    report: Report,
) -> Json:
    from lithoscope.explain import keeping
    from lithoscope.explain.embedding import embed
    from lithoscope.explain.place import plane_of
    from lithoscope.explain.plane_tokens import PlaneTokens
    from lithoscope.explain.points import draw, metadata_of
    from lithoscope.explain.scatter import column_of, scatter
    from lithoscope.explain.views import check_torch
    from lithoscope.features.tokens import Tokens
    from lithoscope.labels.results import open_result

    check_torch()
    if count < 3:
        raise InputError(f"--count {count} is too few for a map; give at least 3")
    if result is not None and len(result) > 1:
        raise InputError("a map is coloured by one result; name one")
    name = result[0] if result else None
    axis = 0 if plane is None else plane_of(plane, scans[0])[0]
    tokens = Tokens(backbone, scale=scale, device=_device(device))
    classes = None if name is None else open_result(scans[0], name).classes
    columns = None if metadata is None else metadata_of(Path(metadata))
    drawn = draw(
        [PlaneTokens(scan, tokens, image) for scan in scans], count, axis=axis, result=name, samples=samples, metadata=columns, seed=seed,
        report=report,
    )  # fmt: skip
    made = embed(drawn, method, perplexity=perplexity, seed=seed, report=report)
    column = column_of(made, color)
    if target.suffix.lower() == ".csv":
        made.table(target)
    else:
        scatter(made, column, classes).save(target)
    kept = [] if scans[0].readonly else [str(made.save(keeping.folder(scans[0]) / f"map-{method}-{'zyx'[axis]}.safetensors"))]
    about = {"points": len(made.points), "method": method, "colour": column, "columns": list(made.points.columns)}
    return {
        "output": str(target), "kind": "embedding", "title": f"{method} of {len(made.points)} patches", "notes": list(made.notes),
        "about": about, "kept": kept,
    }  # fmt: skip


def _device(wish: str) -> str:
    from lithoscope.cli.commands.backbones import device_of
    from lithoscope.explain.views import check_torch

    check_torch()
    return device_of(wish)

"""The commands about similarity that is taught: teaching it, reviewing what self-training proposes, judging and using it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lithoscope.errors import InputError, MissingError, TakenError
from lithoscope.job import Report, silent

if TYPE_CHECKING:
    from lithoscope.similarity.rounds import State

Json = dict[str, Any]


def similarity_train(
    source: str,
    *,
    output: str,
    label: str | None = None,
    group: str | None = None,
    metadata: str | None = None,
    properties: Sequence[str] | None = None,
    settings: dict[str, Any] | None = None,
    unlabelled: str | None = None,
    rules: dict[str, Any] | None = None,
    review: str = "ask",
    device: str = "auto",
    overwrite: bool = False,
    report: Report = silent,
) -> Json:
    """Teach a network what is alike among images or patches; with `unlabelled` by self-training. What was begun goes on."""
    from lithoscope.cli.commands.backbones import device_of
    from lithoscope.similarity.settings import Lessons
    from lithoscope.similarity.sources import Asked, items_of
    from lithoscope.similarity.teach import opened, teach

    _torch()
    lessons = Lessons.of(settings or {})
    if review not in ("ask", "none"):
        raise InputError(f"review {review!r} is neither ask nor none")
    if properties and lessons.method != "siamese":
        raise InputError(f"method={lessons.method} learns no properties; use method=siamese, or leave --properties out")
    place = device_of(device)
    backbone = opened(lessons.backbone, place)
    asked = Asked(label, group, metadata, tuple(properties or ()))
    items = items_of(source, asked, backbone, lessons.side, seed=lessons.seed, report=report)
    folder = Path(output)
    if unlabelled is not None:
        return _self_trained(source, unlabelled, items, lessons, rules or {}, review, folder, place, overwrite, report)
    if lessons.method == "siamese":
        from lithoscope.similarity.siamese_teach import teach_siamese

        taught = teach_siamese(items, lessons, folder, device=place, overwrite=overwrite, report=report)
    else:
        taught = teach(items, lessons, folder, device=place, overwrite=overwrite, report=report)
    return {"model": str(folder), **_told(folder, taught)}


def _told(folder: Path, taught: Any) -> Json:
    learnt = taught.record["learnt"]
    return {
        "method": taught.method,
        "kept": taught.kept,
        "scores": dict(taught.scores),
        "classes": dict(taught.classes),
        "held_out": len(taught.held),
        "left_out_classes": list(taught.more.get("left_out", ())),
        "left_out_error": taught.more.get("left_out_error"),
        "blend": taught.more.get("blend"),
        "steps": learnt["steps"],
        "best_step": learnt["best_step"],
        "curves": learnt["curves"],
        "notes": list(taught.notes),
        "record": str(folder / "similarity.json"),
    }


def _self_trained(
    source: str, unlabelled: str, items: Any, lessons: Any, rules: Json, review: str, folder: Path, device: str, overwrite: bool,
    report: Report,
) -> Json:  # fmt: skip
    from lithoscope.similarity.rounds import forget, self_train
    from lithoscope.similarity.selftraining import Rules
    from lithoscope.similarity.sources import pool_of, write_thumbnails
    from lithoscope.similarity.teach import opened

    if overwrite:
        forget(folder)
    known = Rules.__dataclass_fields__
    if strange := [key for key in rules if key not in known]:
        raise InputError(f"self-training has no rule {strange[0]!r}; it has {', '.join(known)}")
    whole = ("neighbours", "per_class", "rounds", "patience")
    try:
        read: Json = {k: int(v) if k in whole else float(v) for k, v in rules.items()}
        given = Rules(**read)
    except ValueError as error:
        raise error if isinstance(error, InputError) else InputError(f"a rule is not a number ({error}); write rule=number") from None
    backbone = opened(lessons.backbone, device)
    pool = pool_of(source, unlabelled, items, backbone, lessons.side, seed=lessons.seed, report=report)
    state = self_train(items, pool, lessons, given, folder, ask=review == "ask", device=device, report=report)
    shown = write_thumbnails(folder / "proposals", state.open, pool, items) if state.open else []
    return _state(state, shown)


def _state(state: "State", shown: list[Json] | None = None) -> Json:
    from lithoscope.similarity.taught import read_json, write_json

    listed = state.folder / "proposals.json"
    if shown:
        write_json(listed, {"open": shown})
    elif state.open and listed.is_file():
        names = {p.item for p in state.open}
        shown = [one for one in read_json(listed)["open"] if one["item"] in names]
    best = state.best
    return {
        "folder": str(state.folder),
        "model": None if best is None else str(state.folder / best["folder"]),
        "rounds": list(state.rounds),
        "accepted": [p.to_json() for p in state.accepted],
        "rejected": list(state.rejected),
        "open": shown or [p.to_json() for p in state.open],
        "done": state.done,
        "classes": list(state.classes),
    }


def similarity_review(
    folder: str,
    *,
    accept: Sequence[str] | None = None,
    reject: Sequence[str] | None = None,
    rest: str | None = None,
    report: Report = silent,
) -> Json:
    """Accept and reject what self-training proposes, and tell how it stands; `rest` says what becomes of all others: accept or reject."""
    from lithoscope.similarity.rounds import State

    if rest not in (None, "accept", "reject"):
        raise InputError(f"rest {rest!r} is neither accept nor reject")
    state = State.load(Path(folder))
    said = {p.item: rest == "accept" for p in state.open} if rest is not None else {}
    said |= dict.fromkeys(accept or (), True) | dict.fromkeys(reject or (), False)
    return _state(state.reviewed(said).save() if said else state)


def similarity_evaluate(
    model: str,
    source: str,
    *,
    label: str | None = None,
    group: str | None = None,
    metadata: str | None = None,
    output: str | None = None,
    device: str = "auto",
    seed: int = 0,
    overwrite: bool = False,
    report: Report = silent,
) -> Json:
    """Judge a taught network beside the one it was taught from, by the SCAMPI protocol; of properties, how well they are foretold."""
    from lithoscope.cli.commands.backbones import device_of
    from lithoscope.similarity.judging import judge

    _torch()
    if output is not None and Path(output).exists() and not overwrite:
        raise TakenError(f"{output} exists already; choose another folder, or say --overwrite")
    return judge(
        Path(model), source, label=label, group=group, metadata=metadata, output=None if output is None else Path(output),
        device=device_of(device), seed=seed, report=report,
    )  # fmt: skip


def similarity_apply(
    model: str,
    target: str,
    *,
    query: str | None = None,
    k: int = 10,
    output: str | None = None,
    device: str = "auto",
    overwrite: bool = False,
    report: Report = silent,
) -> Json:
    """Use a taught network: embed a library anew, or give vectors and properties of the images of a folder, or what in it is like one."""
    from lithoscope.cli.commands.backbones import device_of
    from lithoscope.similarity.sources import is_library
    from lithoscope.similarity.taught import Taught

    _torch()
    folder = best_of(Path(model))
    taught, place = Taught.open(folder), device_of(device)
    if is_library(target):
        from lithoscope.retrieval.adding import embed

        if query is not None or output is not None:
            raise InputError(
                f"{target} is a library, which is embedded anew; ask it with: lithoscope search {target} --scan SCAN --box BOX"
            )
        if taught.kept == "frozen" and taught.method != "siamese":
            return {"library": target, "embedded": False, "notes": [f"{model} kept the frozen network; nothing to do"]}
        answer = embed(target, backbone=str(folder), device=place, report=report)
        return {**answer, "embedded": True, "notes": list(taught.notes)}
    from lithoscope.similarity.using import use

    if output is not None and Path(output).exists() and not overwrite:
        raise TakenError(f"{output} exists already; choose another file, or say --overwrite")
    return use(folder, Path(target), query=query, k=k, output=None if output is None else Path(output), device=place, report=report)


def best_of(folder: Path) -> Path:
    """The folder of a taught network; of a self-training that of its best round."""
    from lithoscope.similarity.rounds import NAME, State

    if not (folder / NAME).is_file():
        return folder
    best = State.load(folder).best
    if best is None:
        raise MissingError(f"the self-training in {folder} has taught nothing yet; run it first")
    return folder / str(best["folder"])


def _torch() -> None:
    from importlib.util import find_spec

    if find_spec("torch") is None:
        raise MissingError("similarity is taught with torch, which is not installed: pip install 'lithoscope[networks]'")

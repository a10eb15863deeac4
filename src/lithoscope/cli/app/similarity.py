"""The words for similarity that is taught; what the commands do is in `commands`."""

from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from lithoscope.cli.app.root import COMMON, Common, Many, app, run, settings
from lithoscope.cli.console import table

Json = dict[str, Any]
Names = Annotated[list[str] | None, Parameter(consume_multiple=True)]

similarity = App(
    name="similarity", help="Teach what is alike, judge what was taught, and use it.", default_parameter=Parameter(negative=())
)
app.command(similarity)


@similarity.command
def train(
    source: str,
    /,
    *,
    output: str,
    method: Literal["triplet", "contrastive", "siamese"] = "triplet",
    label: str | None = None,
    group: str | None = None,
    metadata: str | None = None,
    properties: Names = None,
    backbone: str | None = None,
    set: Many = None,
    unlabelled: str | None = None,
    rule: Many = None,
    review: Literal["ask", "none"] = "ask",
    device: str = "auto",
    overwrite: bool = False,
    common: Common = COMMON,
) -> None:
    """Teach a network what is alike, by classes, marks or measured properties. Called again with the same output, it goes on where it was.

    What is held out says when to end, and whether the taught network is kept: if its like is found no better, the frozen one is. From four
    classes on some are left out in turn (hold_classes=0.2) to see what it does to others; what may harm them by more than tolerance=0.005
    is not kept.

    Parameters
    ----------
    source
        A folder of images, one folder a class; or a library of patches.
    output
        The folder for the taught network, which opens as a backbone, and for its record.
    method
        triplet and contrastive learn classes; siamese learns looks and measured properties together.
    label
        What says the class: a column of the table, name:6 for the first six letters of a file; of a library a column, scan, or marks
        for what was marked as alike and unlike in the Similar dock.
    group
        What says the sample, of which all is held out or nothing: a column, folder or name:6. Of a library it is the scan.
    metadata
        A table (CSV) about the images.
    properties
        Columns of numbers that siamese learns.
    backbone
        The network to go on from: a name, folder or file.
    set
        Settings, such as mining=semi-hard margin=0.2 tuning=all steps=300 side=224 hold=0.2 seed=1.
    unlabelled
        A folder of images of which nobody knows the class, or "rest" for those of the library: they are proposed as classes, round by
        round, where their neighbours agree.
    rule
        When they are proposed, such as neighbours=3 margin=0.1 curated=0.6 per_class=10 rounds=3.
    review
        ask: stop after each round until somebody has reviewed it (similarity review, or the Similar dock); none: take everything up.
    device
        auto, cpu, cuda or mps.
    overwrite
        Begin anew in a folder that holds a taught network.
    """
    chosen = {**settings(set or []), "method": method, **({} if backbone is None else {"backbone": backbone})}
    run(
        "similarity_train", _taught, common, "similarity train", source=source, output=output, label=label, group=group, metadata=metadata,
        properties=properties, settings=chosen, unlabelled=unlabelled, rules=settings(rule or []), review=review, device=device,
        overwrite=overwrite,
    )  # fmt: skip


def _taught(answer: Json) -> str:
    if "rounds" in answer:
        return _reviewed(answer)
    rows = [
        ("model", answer["model"]),
        ("kept", "the taught network" if answer["kept"] == "taught" else "the frozen network; the notes say why"),
    ]
    for name, value in answer["scores"].items():
        classes = name.endswith("_classes")
        of = f"classes left out in turn, {name.removesuffix('_classes')}" if classes else f"held out, {name}"
        error = f" ± {answer['left_out_error']:.3f}" if name == "taught_classes" else ""
        rows += [(of, f"{value:.3f}{error}")]
    rows += [("classes", ", ".join(f"{name} {count}" for name, count in list(answer["classes"].items())[:8]) or "none")]
    rows += [("held out", f"{answer['held_out']} items"), ("steps", f"{answer['steps']}, best at {answer['best_step']}")]
    return "\n".join([table(rows), *answer["notes"]])


@similarity.command
def review(folder: str, /, *, accept: Names = None, reject: Names = None, rest: Literal["accept", "reject"] | None = None,
           common: Common = COMMON) -> None:  # fmt: skip
    """Accept and reject what self-training proposes; without options, list it. Then run the same similarity train again.

    Parameters
    ----------
    folder
        The output of similarity train.
    accept
        Items whose proposed class is right.
    reject
        Items whose proposed class is wrong; they are not proposed again.
    rest
        What becomes of all others.
    """
    run("similarity_review", _reviewed, common, "similarity review", folder=folder, accept=accept, reject=reject, rest=rest)


def _reviewed(answer: Json) -> str:
    rows = [("round", "held out", "before", "labels", "proposed")]
    rows += [(str(r["round"]), f"{r['score']:.3f}", f"{r['frozen']:.3f}", str(r["labels"]), str(r["proposed"])) for r in answer["rounds"]]
    lines = [table(rows), f"{len(answer['accepted'])} accepted, {len(answer['rejected'])} rejected, {len(answer['open'])} to be reviewed"]
    if answer["open"]:
        shown = [("item", "proposed as", "distance", "margin", "picture")]
        shown += [(o["item"], o["label"], f"{o['distance']:.3f}", f"{o['margin']:.3f}", o.get("picture", "")) for o in answer["open"]]
        lines.append(table(shown))
    return "\n".join([*lines, *([answer["done"]] if answer["done"] else []), *([f"best: {answer['model']}"] if answer["model"] else [])])


@similarity.command
def evaluate(
    model: str,
    source: str,
    /,
    *,
    label: str | None = None,
    group: str | None = None,
    metadata: str | None = None,
    output: str | None = None,
    device: str = "auto",
    seed: int = 0,
    overwrite: bool = False,
    common: Common = COMMON,
) -> None:
    """Judge a taught network beside the one it was taught from, by the SCAMPI protocol; and how well properties are foretold.

    Parameters
    ----------
    model
        The output of similarity train.
    source
        Images that did not teach, in one folder a class, or a library.
    label
        What says the class instead of the folder.
    group
        What says the sample; no image then finds one of its own.
    metadata
        A table (CSV) of classes and properties.
    output
        A folder for tables, figures and a t-SNE map.
    device
        auto, cpu, cuda or mps.
    seed
        Of the map.
    overwrite
        Replace what is in the folder.
    """
    given = {k: v for k, v in locals().items() if k != "common"}
    run("similarity_evaluate", _judged, common, "similarity evaluate", **given)


def _judged(answer: Json) -> str:
    lines = []
    if "taught" in answer:
        rows = [("", "p@n_k", "nn F1", "PR area")]
        for name in ("frozen", "taught"):
            one = answer[name]
            nearest = "–" if one["nn_f1"] is None else f"{one['nn_f1']:.3f} ± {one['nn_f1_sd']:.3f}"
            rows.append((name, f"{one['p_at_nk']:.3f}", nearest, f"{one['pr_area']:.3f}"))
        lines.append(table(rows))
    if "properties" in answer:
        head = [("property", "R²", "within the interval")]
        told = [
            (k, f"{v['r2']:.3f}", f"{v['within']:.0%} of {v['n']}, wanted {v['coverage']:.0%}") for k, v in answer["properties"].items()
        ]
        lines.append(table([*head, *told]))
    if answer["taught_on"]:
        lines.append(
            f"{answer['taught_on']} of these {answer['n']} items taught the network, so the scores are too good; judge it on others"
        )
    return "\n".join([*lines, *(f"written to {file}" for file in answer.get("files", []))])


@similarity.command
def apply(
    model: str,
    target: str,
    /,
    *,
    query: str | None = None,
    k: Annotated[int, Parameter(name=["-k"])] = 10,
    output: str | None = None,
    device: str = "auto",
    overwrite: bool = False,
    common: Common = COMMON,
) -> None:
    """Use a taught network: embed a library anew with it, or look at the images of a folder.

    Parameters
    ----------
    model
        The output of similarity train.
    target
        A library, or a folder of images.
    query
        Rank the images by how alike they are to this one: its name, or a file.
    k
        How many of them.
    output
        Also write a table (.csv): vectors, or hits, with the properties that are foretold.
    device
        auto, cpu, cuda or mps.
    overwrite
        Replace that file if it is there.
    """
    given = {key: value for key, value in locals().items() if key != "common"}
    run("similarity_apply", _applied, common, "similarity apply", **given)


def _applied(answer: Json) -> str:
    if "library" in answer:
        done = f"{answer['rows']} patches of {answer['library']} are seen by {answer['backbone']}" if answer["embedded"] else ""
        return "\n".join([*([done] if done else []), *answer["notes"]])
    lines = [f"{answer['images']} images, {answer['vectors']} numbers each"]
    if "hits" in answer:
        rows = [("score", "image", "properties"), *((f"{h['score']:.3f}", h["image"], _properties(h)) for h in answer["hits"])]
        lines.append(table(rows))
    elif any("properties" in row for row in answer["rows"]):
        lines.append(table([("image", "properties"), *((row["image"], _properties(row)) for row in answer["rows"])]))
    return "\n".join([*lines, *([f"written to {answer['output']}"] if "output" in answer else [])])


def _properties(line: Json) -> str:
    told = []
    for name, f in line.get("properties", {}).items():
        bounds = "" if f["low"] is None or f["high"] is None else f" ({f['low']:.3g} … {f['high']:.3g})"
        told.append(f"{name} {f['value']:.3g}{bounds}")
    return ", ".join(told)

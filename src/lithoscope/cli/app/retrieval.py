"""The words for judging features, for the library of patches, and for searching it; what they do is in `commands`."""

from typing import Annotated, Any, Literal

from cyclopts import Parameter

from lithoscope.cli.app.root import COMMON, Common, app, run
from lithoscope.cli.console import table

Json = dict[str, Any]


@app.command
def evaluate_retrieval(
    image_folder: str,
    /,
    *,
    features: Annotated[str, Parameter()] = "pixels16",
    pooling: Literal["class", "mean"] = "class",
    metadata: str | None = None,
    label: str | None = None,
    group: str | None = None,
    output: str | None = None,
    device: str = "auto",
    seed: int = 0,
    overwrite: bool = False,
    common: Common = COMMON,
) -> None:
    """Judge features of labelled images by the SCAMPI protocol: precision, recall, and naming by neighbours and regression.

    Parameters
    ----------
    image_folder
        Images, in one folder a class.
    features
        pixels16 for plain grey pixels, or a backbone: a name, folder or file.
    pooling
        What a backbone says of an image: its class token, or the mean of its patches' tokens.
    metadata
        A table (CSV) about the images; a row is named by an image, or by its folder.
    label
        What says the class instead of the folder: a column of the table, or name:6 for the first six letters of the file.
    group
        What says the sample: a column, folder or name:6. No image then finds, or is named after, one of its own sample.
    output
        A folder for tables, figures, a t-SNE map, and the best and worst ten with what they found.
    device
        auto, cpu, cuda or mps.
    seed
        Of the map; the splits always have the seeds 0 to 9.
    overwrite
        Replace what is in the folder.
    """
    given = {k: v for k, v in locals().items() if k not in ("common", "image_folder")}
    run("evaluate_retrieval", _evaluated, common, "evaluate", folder=image_folder, **given)


def _evaluated(answer: Json) -> str:
    rows = [("images", f"{answer['n']} of {len(answer['classes'])} classes"), ("p@n_k", f"{answer['p_at_nk']:.4f}")]
    classes = [("class", "p@n_k", "nn F1")]
    nearest: Json = {}
    if answer["nn_f1"] is not None:
        judged, nearest = answer["logistic_regression"], answer["knn"]["1"]["by_class"]
        rows.append(("nn F1", f"{answer['nn_f1']:.4f} ± {answer['nn_f1_sd']:.4f}"))
        rows.append(("logistic F1", f"{judged['f1']:.4f} ± {judged['f1_sd']:.4f}"))
    rows += [("PR area", f"{answer['pr_area']:.4f}")]
    rows += [("precision at", ", ".join(f"{k}: {v:.3f}" for k, v in list(answer["precision_at"].items())[:4]))]
    for name in answer["classes"]:
        own, named = answer["p_at_nk_by_class"].get(name), nearest.get(name)
        classes.append((name, "" if own is None else f"{own:.3f}", "" if named is None else f"{named['f1']:.3f}"))
    return "\n".join([table(rows), "", table(classes), *answer["notes"], *(f"written to {file}" for file in answer.get("files", []))])

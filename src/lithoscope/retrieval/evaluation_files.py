"""The files of an evaluation: tables as CSV, figures as SVG, the best and the worst as contact sheets."""

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lithoscope.retrieval import figures
from lithoscope.retrieval.images import ImageFile, cropped, opened
from lithoscope.retrieval.protocol import Evaluation
from lithoscope.retrieval.sheet import Cell, contact_sheet
from lithoscope.volume.store import storage_errors

RIGHT, WRONG = "#2e8b57", "#c0392b"


def write_files(
    folder: Path,
    found: Evaluation,
    answer: dict[str, Any],
    images: Sequence[ImageFile],
    names: Sequence[str],
    vectors: npt.NDArray[Any],
    seed: int,
) -> list[str]:
    """Write everything into `folder`; the paths of the files."""
    written: list[Path] = []

    def text(name: str, content: str) -> None:
        written.append(folder / name)
        written[-1].write_text(content, encoding="utf-8", newline="\n")

    def table(name: str, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        written.append(folder / name)
        with written[-1].open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([head, *rows])

    ranking, cuts = found.ranking, found.ranking.cuts()
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        text("evaluation.json", json.dumps(answer, indent=1))
        precision, recall = ([of(k) for k in cuts] for of in (ranking.precision, ranking.recall))
        head = ["image", "class", "p_at_nk", *(f"precision_at_{k}" for k in cuts), *(f"recall_at_{k}" for k in cuts)]
        shown, each = np.flatnonzero(ranking.sought).tolist(), ranking.at_others()
        table(
            "images.csv",
            head,
            ([images[i].name, names[i], each[n], *(p[n] for p in precision), *(r[n] for r in recall)] for n, i in enumerate(shown)),
        )
        by_class, nearest = ranking.by_class(), found.knn[1].by_class if found.knn else {}
        rows = ([name, names.count(name), by_class.get(name), *nearest.get(name, {}).values()] for name in answer["classes"])
        table("classes.csv", ["class", "images", "p_at_nk", "nn_precision", "nn_recall", "nn_f1"], rows)
        if found.regression is not None:
            kinds = ("f1", "f1_sd", "accuracy", "balanced_accuracy", "precision", "log_loss")
            judged = {**{f"{k} nearest": n for k, n in found.knn.items()}, "logistic regression": found.regression}
            table("naming.csv", ["by", *kinds], ([by, *(getattr(n, kind) for kind in kinds)] for by, n in judged.items()))
            confused = found.regression.confusion
            table("confusion.csv", ["is", *answer["classes"]], ([c, *row] for c, row in zip(answer["classes"], confused, strict=True)))
            text("confusion.svg", figures.confusion(confused, answer["classes"], "logistic regression, all splits together"))
        curve = (list(answer["recall_at"].values()), list(answer["precision_at"].values()))
        text("precision-recall.svg", figures.precision_recall(*curve, answer["pr_area"]))
        places = tsne(vectors, seed)
        table("tsne.csv", ["image", "class", "x", "y"], ([i.name, c, *p] for i, c, p in zip(images, names, places.tolist(), strict=True)))
        text("tsne.svg", figures.scatter(places, names, "t-SNE of the vectors", [image.name for image in images]))
        files = {image.name: image for image in images}
        for which in ("best", "worst"):
            written.append(folder / f"{which}.png")
            contact_sheet([_row(line, files) for line in answer[which]], f"{which} ten: the image, then what it found").save(written[-1])
    return [str(path) for path in written]


def _row(line: dict[str, Any], files: dict[str, ImageFile]) -> list[Cell]:
    """An image, then its matches, framed by whether they are of its class."""
    first = Cell(cropped(opened(files[line["image"]])), (line["class"], f"p@n_k {line['p_at_nk']:.2f}"))
    return [
        first,
        *(
            Cell(cropped(opened(files[m["image"]])), (m["class"],), RIGHT if m["class"] == line["class"] else WRONG)
            for m in line["matches"]
        ),
    ]


def tsne(vectors: npt.NDArray[Any], seed: int) -> npt.NDArray[np.float64]:
    """Places (n, 2) that keep neighbours near (van der Maaten and Hinton 2008)."""
    from sklearn.manifold import TSNE

    perplexity = float(min(30, max(1, (len(vectors) - 1) // 3)))
    made = TSNE(2, random_state=seed, perplexity=perplexity, init="random").fit_transform(np.asarray(vectors, np.float32))
    return np.asarray(made, np.float64)

"""Similarity that is taught, beside the same network untaught: held-out images and genera of the shared fossils, simulated rocks of
known porosity and permeability, and self-training from five labels a class.

    LITHOSCOPE_SHARED_DATA=… python benchmarks/similarity.py fossils|properties|selftraining [--seeds 3] [--json results.json]
    … fossils --tuning frozen --steps 100 --hold-classes 0

With `--json` what is there already is kept, and a seed is not run again: it can be stopped at any time.
Nothing that is scored taught anything, nor said when to stop. Scores are SCAMPI's, on vectors as the network gives them.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np

from lithoscope.retrieval.metadata import read_csv
from lithoscope.scores.naming import Splits, by_neighbours
from lithoscope.scores.retrieval import at_relevant, ranked
from lithoscope.similarity.double import Double
from lithoscope.similarity.items import Items, folder_items
from lithoscope.similarity.network import Embedding, embedded
from lithoscope.similarity.properties import apart, r_squared
from lithoscope.similarity.relations import Relation
from lithoscope.similarity.rockset import rocks, write_rocks
from lithoscope.similarity.rounds import self_train
from lithoscope.similarity.selftraining import Proposal, Rules
from lithoscope.similarity.settings import Lessons
from lithoscope.similarity.siamese_teach import teach_siamese
from lithoscope.similarity.teach import opened, teach

Rows = dict[str, list[dict[str, float]]]
SIDE = 64
BACKBONE = "lithoscope-tiny"
FITTED = {"rate": 1e-7, "steps": 1}
WAYS = {
    "random triplets": {"mining": "random"},
    "semi-hard triplets": {"mining": "semi-hard"},
    "batch-hard triplets": {"mining": "batch-hard"},
    "supervised contrast": {"method": "contrastive"},
}


def vectors_of(backbone: str | Path, items: Items) -> np.ndarray:
    found = opened(str(backbone), "cpu")
    return embedded(Embedding(found.network, "mean", found.width).eval().raw, items.pictures)


def among(vectors: np.ndarray, names: list[str], asked: np.ndarray) -> float:
    """p@n_k of some of the items among all of them."""
    ranking = ranked(vectors, names, depth=1)
    return float(ranking.at_others()[asked[ranking.sought]].mean())


def named_f1(vectors: np.ndarray, names: np.ndarray, learnt: np.ndarray, asked: np.ndarray) -> float:
    """Macro F1 of the nearest of those that are learnt from."""
    return by_neighbours(vectors, names.tolist(), 1, Splits(((np.flatnonzero(learnt), np.flatnonzero(asked)),))).f1


def noted(rows: Rows, way: str, seed: int, given: argparse.Namespace, found: dict[str, float], seconds: float = 0) -> None:
    """Keep what was found by a seed."""
    rows.setdefault(way, []).append({"seed": seed, **found})
    print(f"seed {seed}, {way}: {seconds:.0f} s, {found}", flush=True)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


def told(rows: Rows, columns: list[str]) -> str:
    lines = ["| | " + " | ".join(columns) + " |", "| --- |" + " --- |" * len(columns)]
    for name, runs in rows.items():
        cells = []
        for column in columns:
            values = np.array([run[column] for run in runs if column in run])
            cells.append("–" if not len(values) else f"{values.mean():.3f}" + (f" ± {values.std():.3f}" if len(values) > 1 else ""))
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def beginning(given: argparse.Namespace) -> dict[str, float]:
    """What is left out in turn, and how much the matrix counts at most."""
    return {"hold_classes": given.hold_classes, "blend": given.blend}


def fossils(seeds: Sequence[int], given: argparse.Namespace, rows: Rows) -> list[str]:
    """Two genera are held out whole, and four images of each of the others."""
    items = folder_items(Path(os.environ["LITHOSCOPE_SHARED_DATA"]) / "retrieval" / "fossils", side=SIDE)
    names = np.array(items.relation.named())
    ways = {way: own for way, own in {"fitted, no steps": FITTED, **WAYS}.items() if not given.ways or way in given.ways}
    pairs = list(combinations(np.unique(names), 2))
    for seed in seeds:
        rng = np.random.default_rng(seed)
        new = np.isin(names, pairs[seed] if given.every_pair else rng.permutation(np.unique(names))[:2])
        test = np.zeros(len(names), bool)
        for genus in np.unique(names[~new]):
            test[rng.permutation(np.flatnonzero(names == genus))[:4]] = True
        teaching = ~new & ~test

        def scored(
            vectors: np.ndarray, new: np.ndarray = new, test: np.ndarray = test, teaching: np.ndarray = teaching
        ) -> dict[str, float]:
            known = ~new
            return {
                "held-out images, p@n_k": among(vectors[known], names[known].tolist(), test[known]),
                "held-out images, nn F1": named_f1(vectors, names, teaching, test),
                "held-out genera, p@n_k": among(vectors[new], names[new].tolist(), np.ones(int(new.sum()), bool)),
                "held-out genera, nn F1": by_neighbours(vectors[new], names[new].tolist(), 1, Splits.stratified(names[new].tolist())).f1,
            }

        noted(rows, "untaught", seed, given, scored(vectors_of(BACKBONE, items)))
        for way, own in ways.items():
            common = {"steps": given.steps, "every": max(6, given.steps // 10), "tuning": given.tuning, "patience": 5, **beginning(given)}
            lessons = Lessons.of({**common, "seed": seed, "classes": 5, "side": SIDE, "hold": 0.2, **own})
            start = time.perf_counter()
            with tempfile.TemporaryDirectory() as folder:
                taught = teach(items.some(teaching), lessons, Path(folder) / "m")
                found = scored(vectors_of(Path(folder) / "m", items))
            kept = {
                "kept": float(taught.kept == "taught"),
                "step": float(taught.record["learnt"]["best_step"]),
                "frozen score": taught.scores["frozen"],
                "taught score": taught.scores["taught"],
                "blend": float(taught.more["blend"] or 0),
                **{key: value for key, value in taught.scores.items() if key.endswith("_classes")},
            }
            noted(rows, way, seed, given, {**found, **kept}, time.perf_counter() - start)
    return [*(f"held-out {what}, {score}" for what in ("images", "genera") for score in ("p@n_k", "nn F1")), "kept"]


def rock_items(folder: Path, samples: int, slices: int, seed: int) -> Items:
    table = write_rocks(folder, rocks(samples, slices, seed=seed))
    columns = ("porosity", "permeability")
    return folder_items(folder / "images", group="name:4", metadata=read_csv(table), columns=columns, side=SIDE)


def properties(seeds: Sequence[int], given: argparse.Namespace, rows: Rows) -> list[str]:
    """Sixty rocks teach, forty others are scored; a slice never finds one of its own rock."""
    steps = given.steps
    for seed in seeds:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            items, test = rock_items(folder / "a", 60, 3, 10 + seed), rock_items(folder / "b", 40, 2, 100 + seed)
            common = {"seed": seed, "side": SIDE, "hold": 0.15, **beginning(given)}
            ways = {
                "image only, taught by rock type": {"tuning": given.tuning, "steps": steps, "classes": 5, **common},
                "double Siamese, trunks frozen": {
                    "method": "siamese",
                    "tuning": "frozen",
                    "steps": 200,
                    "rate": 3e-3,
                    "every": 20,
                    **common,
                },
                "double Siamese": {"method": "siamese", "tuning": given.tuning, "steps": steps, "classes": 6, **common},
            }
            if given.tuning == "frozen":
                ways.pop("double Siamese")
            frozen = vectors_of(BACKBONE, test)
            own = vectors_of(BACKBONE, items)
            noted(rows, "image only, untaught", seed, given, {**ranking(test, cosines(frozen)), **ridge(own, items, frozen, test)})
            for way, settings in ways.items():
                lessons, start = Lessons.of(settings), time.perf_counter()
                siamese = lessons.method == "siamese"
                (teach_siamese if siamese else teach)(items, lessons, folder / way)
                vectors = vectors_of(folder / way, test)
                if not siamese:
                    found = {**ranking(test, cosines(vectors)), **ridge(vectors_of(folder / way, items), items, vectors, test)}
                else:
                    double = Double.open(folder / way)
                    halves = double.halves(vectors)
                    compared = [double.compared(one, halves) for one in halves]
                    scaled, said = double.properties.scaled(test.properties), double.scaled_properties(halves)
                    found = {f"R² {c}": r_squared(scaled[:, i], said[:, i]) for i, c in enumerate(test.columns)}
                    found["within 90 %"] = float((np.abs(scaled - said) <= double.bounds).mean())
                    rock, both = (np.stack([c[name] for c in compared]) for name in ("rock", "both"))
                    noted(rows, f"{way}, by foretold properties", seed, given, ranking(test, -apart(said)))
                    found |= ranking(test, rock, both)
                noted(rows, way, seed, given, found, time.perf_counter() - start)
    return ["R² porosity", "R² permeability", "within 90 %", "ranking by property", "ranking by both"]


def cosines(vectors: np.ndarray) -> np.ndarray:
    about = vectors - vectors.mean(0)
    about /= np.linalg.norm(about, axis=1, keepdims=True)
    return about @ about.T


def ridge(teaching: np.ndarray, items: Items, vectors: np.ndarray, test: Items) -> dict[str, float]:
    """What a ridge regression reads off the vectors."""
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from lithoscope.similarity.properties import Properties

    scale = Properties.fit(items.columns, items.properties)
    model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-1, 5, 13))).fit(teaching, scale.scaled(items.properties))
    truth, said = scale.scaled(test.properties), model.predict(vectors)
    return {f"R² {c}": r_squared(truth[:, i], said[:, i]) for i, c in enumerate(test.columns)}


def ranking(test: Items, scores: np.ndarray, both: np.ndarray | None = None, near: float = 0.5) -> dict[str, float]:
    """Of as many as are alike in properties (and in type), outside the own rock, the share among the first."""
    from lithoscope.similarity.properties import Properties

    away = apart(Properties.fit(test.columns, test.properties).scaled(test.properties))
    groups, kinds = np.asarray(test.groups), test.relation.kinds
    found: dict[str, list[float]] = {"ranking by property": [], "ranking by both": []}
    for i in range(len(test)):
        rows = np.flatnonzero(groups != groups[i])
        for name, values, relevant in (
            ("ranking by property", scores, away[i, rows] < near),
            ("ranking by both", scores if both is None else both, (away[i, rows] < near) & (kinds[rows] == kinds[i])),
        ):
            if relevant.any():
                found[name].append(at_relevant(values[i, rows], relevant))
    return {name: float(np.mean(values)) for name, values in found.items()}


def selftraining(seeds: Sequence[int], given: argparse.Namespace, rows: Rows) -> list[str]:
    """Five labels of each of five types, a pool of twenty-four each, scored on eight others each."""
    import shutil

    for seed in seeds:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            labelled, pool, test = (
                rock_items(folder / n, 5 * c, 1, s + seed) for n, c, s in (("a", 5, 200), ("b", 24, 300), ("c", 8, 400))
            )
            truth = dict(zip((f"pool/{n}" for n in pool.names), pool.relation.named(), strict=True))
            pool = renamed(pool)
            common = {"steps": given.steps, "every": 5, "patience": 3, "tuning": given.tuning, **beginning(given)}
            lessons = Lessons.of({**common, "seed": seed, "classes": 5, "side": SIDE, "hold": 0.2})
            rules = Rules(rounds=3, patience=3, per_class=8)
            right = partial(reviewed, truth)
            for way, reviewer in (("nobody reviews", None), ("a perfect reviewer", right)):
                target = folder / way
                if (folder / "nobody reviews").is_dir():  # the first round is the same whoever reviews it
                    shutil.copytree(folder / "nobody reviews" / "round-1", target / "round-1")
                state = self_train(labelled, pool, lessons, rules, target, reviewer=reviewer)
                at = {p.item: p for p in state.accepted}
                if reviewer is None:
                    noted(rows, "untaught", seed, given, score_round(BACKBONE, labelled, [], pool, test))
                for told_ in state.rounds:
                    accepted = [p for p in at.values() if p.round < told_["round"]]
                    found = score_round(target / told_["folder"], labelled, accepted, pool, test)
                    found["labels"] = len(labelled) + len(accepted)
                    found["right"] = float(np.mean([truth[p.item] == p.label for p in accepted])) if accepted else 1.0
                    noted(rows, f"{way}, round {told_['round']}", seed, given, {**found, "held out": told_["score"]})
                print(state.done, flush=True)
    return ["p@n_k", "nn F1", "labels", "right"]


def reviewed(truth: dict[str, str], found: Sequence[Proposal]) -> list[bool]:
    """What a reviewer says who knows the truth."""
    return [truth[p.item] == p.label for p in found]


def renamed(pool: Items) -> Items:
    from dataclasses import replace

    hidden = Relation.of_classes([None] * len(pool))
    return replace(pool, names=tuple(f"pool/{n}" for n in pool.names), groups=tuple(f"pool/{g}" for g in pool.groups), relation=hidden)


def score_round(backbone: str | Path, labelled: Items, accepted: list, pool: Items, test: Items) -> dict[str, float]:
    """p@n_k among the test's slices, and how well they are named after the nearest label, given or accepted."""
    at = {name: i for i, name in enumerate(pool.names)}
    rows = [at[p.item] for p in accepted]
    names = np.array([*labelled.relation.named(), *(p.label for p in accepted), *test.relation.named()])
    taken = [vectors_of(backbone, pool.some(np.array(rows, int)))] if rows else []
    vectors = np.concatenate([vectors_of(backbone, labelled), *taken, vectors_of(backbone, test)])
    asked = np.arange(len(names)) >= len(names) - len(test)
    return {
        "p@n_k": among(vectors[asked], names[asked].tolist(), np.ones(len(test), bool)),
        "nn F1": named_f1(vectors, names, ~asked, asked),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=("fossils", "properties", "selftraining"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--tuning", choices=("frozen", "lora", "all"), default="lora")
    parser.add_argument(
        "--hold-classes",
        type=float,
        default=Lessons().hold_classes,
        help="part of the classes left out at a time to see what it does to others",
    )
    parser.add_argument("--blend", type=float, default=Lessons().blend, help="how much the matrix counts that teaching begins with")
    parser.add_argument("--every-pair", action="store_true", help="of fossils, draw the pairs of genera in turn: 21 seeds are all of them")
    parser.add_argument("--ways", nargs="*", help="of fossils, these ways alone")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    start = time.process_time()
    rows: Rows = json.loads(given.json.read_text(encoding="utf-8")) if given.json and given.json.exists() else {}
    done = [run["seed"] for run in next(iter(reversed(rows.values())), [])]
    rows = {way: [run for run in runs if run["seed"] in done] for way, runs in rows.items()}
    columns = globals()[given.part]([seed for seed in range(given.seeds) if seed not in done], given, rows)
    print(told(rows, columns))
    print(f"{time.process_time() - start:.0f} s of processor time")


if __name__ == "__main__":
    main()

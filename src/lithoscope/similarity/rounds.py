"""Self-training as it stands, on disk: who taught, what was proposed, what a person said of it; gone on with round by round.

A round is: teach on all labels so far, look at the pool, propose. Then a person accepts and rejects (or nobody does, and all is
taken up). Killed at any time it goes on where it was.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from lithoscope.errors import InputError, MissingError
from lithoscope.job import Report, silent
from lithoscope.similarity.items import Items
from lithoscope.similarity.relations import Relation
from lithoscope.similarity.selftraining import Proposal, Reviewer, Rules, proposals
from lithoscope.similarity.settings import Lessons
from lithoscope.similarity.taught import read_json, write_json
from lithoscope.volume.store import storage_errors

NAME = "selftraining.json"
Json = dict[str, Any]


@dataclass(frozen=True)
class State:
    """`accepted` labels so far, names that were `rejected`, `open` proposals that wait for a person, and the `rounds` that were taught:
    number, held-out score before and after, labels that taught, folder."""

    folder: Path
    classes: tuple[str, ...]
    rules: Rules
    accepted: tuple[Proposal, ...] = ()
    rejected: tuple[str, ...] = ()
    open: tuple[Proposal, ...] = ()
    rounds: tuple[Json, ...] = ()
    done: str = ""
    held: tuple[str, ...] = ()
    more: Json = field(default_factory=dict)

    def save(self) -> "State":
        """Write it in one move."""
        told: Json = {"classes": self.classes, "rules": asdict(self.rules), "rejected": self.rejected, "rounds": self.rounds}
        told |= {key: [p.to_json() for p in getattr(self, key)] for key in ("accepted", "open")}
        write_json(self.folder / NAME, {**told, "done": self.done, "held": self.held, "more": self.more})
        return self

    @classmethod
    def load(cls, folder: Path) -> "State":
        """What lies in a folder."""
        if not (folder / NAME).is_file():
            raise MissingError(f"{folder} holds no self-training; begin one: lithoscope similarity train … --unlabelled FOLDER")
        told = read_json(folder / NAME)
        listed = {key: tuple(Proposal(**p) for p in told[key]) for key in ("accepted", "open")}
        return cls(
            folder, tuple(told["classes"]), Rules(**told["rules"]), rejected=tuple(told["rejected"]), rounds=tuple(told["rounds"]),
            done=told["done"], held=tuple(told["held"]), more=told.get("more", {}), **listed,
        )  # fmt: skip

    @property
    def best(self) -> Json | None:
        """The round whose network found the held-out items' like best; the first of equals."""
        return max(self.rounds, key=lambda r: float(r["score"])) if self.rounds else None

    def reviewed(self, decisions: Mapping[str, bool]) -> "State":
        """With what a person said of open proposals, by item; what was not said stays open."""
        known = {p.item for p in self.open}
        if strange := [name for name in decisions if name not in known]:
            raise InputError(f"{strange[0]} is not among the {len(known)} open proposals; look at them again")
        accepted = tuple(p for p in self.open if decisions.get(p.item))
        rejected = tuple(p.item for p in self.open if decisions.get(p.item) is False)
        left = tuple(p for p in self.open if p.item not in decisions)
        return replace(self, accepted=(*self.accepted, *accepted), rejected=(*self.rejected, *rejected), open=left)


def forget(folder: Path) -> None:
    """Remove the self-training that lies in a folder, and nothing else that is in it."""
    if not (folder / NAME).is_file():
        return
    with storage_errors(folder):
        for part in [folder / "proposals", *folder.glob("round-*")]:
            if part.name == "proposals" or part.name.removeprefix("round-").isdecimal():
                shutil.rmtree(part, ignore_errors=True)
        (folder / "proposals.json").unlink(missing_ok=True)
        (folder / NAME).unlink()


def self_train(
    items: Items,
    pool: Items,
    lessons: Lessons,
    rules: Rules,
    output: Path,
    *,
    reviewer: Reviewer | None = None,
    ask: bool = False,
    device: str = "cpu",
    report: Report = silent,
) -> State:
    """Go on with self-training in `output` until it ends, or, with `ask`, until a person is to review what was proposed.

    `items` are labelled, of `pool` nobody knows anything. Without `ask` the `reviewer` decides, and without one all is accepted.
    """
    state = _begun(items, lessons, rules, output)
    while not state.done:
        if state.open:
            if ask:
                return state
            said = [True] * len(state.open) if reviewer is None else list(reviewer(state.open))
            state = state.reviewed({p.item: bool(yes) for p, yes in zip(state.open, said, strict=True)}).save()
        state = _round(state, items, pool, lessons, output, device, report).save()
    return state


def _begun(items: Items, lessons: Lessons, rules: Rules, output: Path) -> State:
    classes = items.relation.names
    if (output / NAME).is_file():
        state = State.load(output)
        if state.classes != classes:
            raise InputError(
                f"the self-training in {output} is of other classes ({', '.join(state.classes)}) than these ({', '.join(classes)}); "
                "choose another output"
            )
        if state.more.get("lessons") != lessons.to_json():
            raise InputError(f"the self-training in {output} was begun with other settings; choose another output, or the same settings")
        ended = state.done and len(state.rounds) < rules.rounds and state.done.startswith("all ")
        return replace(state, rules=rules, done="" if ended else state.done)
    if lessons.method == "siamese":
        raise InputError("self-training proposes classes; use method=triplet or contrastive")
    from lithoscope.similarity.teach import chosen

    items.relation.check()
    held, _ = chosen(items, lessons, None)
    names = tuple(np.asarray(items.names)[held].tolist())
    return State(output, classes, rules, held=names, more={"lessons": lessons.to_json()}).save()


def _round(state: State, items: Items, pool: Items, lessons: Lessons, output: Path, device: str, report: Report) -> State:
    """Teach, look, propose."""
    import torch

    from lithoscope.similarity.network import Embedding, embedded
    from lithoscope.similarity.taught import NAME as FINISHED
    from lithoscope.similarity.taught import Taught
    from lithoscope.similarity.teach import opened, teach

    number, rules = len(state.rounds) + 1, state.rules
    folder = output / f"round-{number}"
    everything = joined(items, pool, state.accepted)
    if (folder / FINISHED).is_file():
        taught = Taught.open(folder)
    else:
        taught = teach(everything, lessons, folder, held=state.held, device=device, report=report)
    backbone = opened(str(folder), device)
    network = Embedding(backbone.network, lessons.pooling, backbone.width).to(device).eval()
    with torch.inference_mode():
        vectors = embedded(network.raw, everything.pictures, device, report, "looking at the labelled")
        looked = embedded(network.raw, pool.pictures, device, report, "looking at the unlabelled")
    teaching = ~np.isin(np.asarray(everything.names), np.asarray(state.held)) & (everything.relation.kinds >= 0)
    mean = np.concatenate([vectors[teaching], looked]).mean(0)
    # Labels that a person gave vote beside those that were accepted; what is held out never does.
    named = np.asarray(everything.relation.named())[teaching].tolist()
    voters = np.asarray(everything.names)[teaching].tolist()
    taken = frozenset((*state.rejected, *(p.item for p in state.accepted)))
    found = proposals(looked - mean, pool.names, vectors[teaching] - mean, named, voters, rules, without=taken, number=number)
    score = float(taught.scores["taught"])
    told: Json = {"round": number, "score": score, "frozen": float(taught.scores["frozen"]), "kept": taught.kept}
    told |= {"labels": int(teaching.sum()), "accepted": len(state.accepted), "proposed": len(found), "folder": folder.name}
    rounds = (*state.rounds, told)
    best = max(range(len(rounds)), key=lambda i: float(rounds[i]["score"]))
    done = ""
    if len(rounds) - 1 - best >= rules.patience:
        done = f"round {number} found the like of what is held out no better than round {best + 1}"
    elif number >= rules.rounds:
        done = f"all {rules.rounds} rounds are done"
    elif not found:
        done = "nothing is left to propose that its neighbours agree on"
    return replace(state, rounds=rounds, open=() if done else tuple(found), done=done)


def joined(items: Items, pool: Items, accepted: Sequence[Proposal]) -> Items:
    """Labelled items, and those of the pool whose labels were accepted; each of these is a group of its own in the pool's groups."""
    if not accepted:
        return items
    at = {name: i for i, name in enumerate(pool.names)}
    if gone := [p.item for p in accepted if p.item not in at]:
        raise MissingError(f"{gone[0]} was accepted, but is not among the unlabelled any more; bring it back")
    rows = np.array([at[p.item] for p in accepted])
    classes = [*(name or None for name in items.relation.named()), *(p.label for p in accepted)]
    extra = pool.some(rows)
    pictures = replace(items.pictures, values=np.concatenate([items.pictures.values, extra.pictures.values]))
    measured = np.concatenate([items.properties, np.full((len(rows), len(items.columns)), np.nan)])
    return replace(
        items, names=(*items.names, *extra.names), groups=(*items.groups, *extra.groups), relation=Relation.of_classes(classes),
        pictures=pictures, properties=measured,
    )  # fmt: skip

"""The words of the commands about backbones; what they do is in `backbones`."""

from typing import Annotated, Any, Literal

from cyclopts import Parameter

from lithoscope.cli.app.root import COMMON, Common, app, run
from lithoscope.cli.console import table

Json = dict[str, Any]
Names = Annotated[list[str], Parameter(consume_multiple=True)]


@app.command
def backbones(*, fetch: str | None = None, common: Common = COMMON) -> None:
    """List the networks that give tokens: which ship, which are here, their licences and checksums.

    Parameters
    ----------
    fetch
        Bring the weights of this one from its hub. Nothing else here uses the network.
    """
    run("backbones", _listed, common, fetch=fetch)


def _listed(answer: Json) -> str:
    rows = [("name", "here", "licence", "sha256", "")]
    for b in answer["backbones"]:
        here = "ships" if b["shipped"] and b["present"] else "yes" if b["present"] else "no"
        rows.append((b["name"], here, b["license"], (b["sha256"] or "")[:12], b["to_get"] or b["title"]))
    return table(rows)


@app.command
def pretrain(
    scans: Annotated[list[str], Parameter()],
    /,
    *,
    output: str,
    objective: Literal["dino", "mae", "features"] = "dino",
    size: Literal["tiny", "small", "test"] = "tiny",
    patch: Literal[8, 14, 16] = 8,
    position: Literal["conv", "alibi", "none", "learned"] = "conv",
    steps: int = 2000,
    minutes: float | None = None,
    batch: int | None = None,
    rate: float | None = None,
    ibot: Annotated[bool, Parameter(negative="--no-ibot")] = True,
    koleo: Annotated[bool, Parameter(negative="--no-koleo")] = True,
    start: str | None = None,
    tuning: Literal["all", "lora", "attention"] = "all",
    seed: int = 0,
    device: str = "auto",
    workers: int = 1,
    common: Common = COMMON,
) -> None:
    """Teach a backbone on scans without labels. Called again with the same output, it goes on where it was.

    Parameters
    ----------
    scans
        The scans to learn from; crops are drawn from blocks of all of them, on all planes.
    output
        The folder for the weights, the log and the checkpoint.
    objective
        dino: parts must agree with the whole; mae: paint in what was hidden; features: describe each patch in a few numbers, also
        hidden ones, which is learnt soonest.
    size
        tiny: 5.4 million parameters; small: 21 million; test: hardly any.
    patch
        Side of a patch in pixels; 8 sees finer structures, 14 and 16 are faster.
    position
        How tokens know where they are. conv: neighbours only, which suits homogeneous texture; alibi: what is far counts less;
        none; learned: an absolute place.
    steps
        How many batches to learn from.
    minutes
        End after so much work instead; the weights are those of the number of steps that fitted in.
    batch
        Crops a batch.
    rate
        Learning rate at its highest.
    ibot
        With dino: also ask for single hidden patches.
    koleo
        With dino: also spread the crops' vectors.
    start
        Begin from this backbone (a name, folder or file) instead of from nothing: adapt it to these scans.
    tuning
        Teach all weights; with start also low-rank matrices beside them (lora), which are worked into them at the end; attention alone,
        which leaves what each token says of its own patch as it is: with start, or with features from their start in closed form.
    seed
        Equal seeds give equal weights on one kind of device.
    device
        auto, cpu, cuda or mps.
    workers
        Threads that share a batch; the weights do not depend on them.
    """
    run(
        "pretrain",
        _taught,
        common,
        scans=scans,
        output=output,
        objective=objective,
        size=size,
        patch=patch,
        position=position,
        steps=steps,
        minutes=minutes,
        batch=batch,
        rate=rate,
        ibot=ibot,
        koleo=koleo,
        start=start,
        tuning=tuning,
        seed=seed,
        device=device,
        workers=workers,
    )


def _taught(answer: Json) -> str:
    rank = ", ".join(f"{value:.1f}" for value in answer["effective_rank"].values())
    rows = [("backbone", answer["backbone"]), ("parameters", f"{answer['parameters']:,}"), ("steps", f"{answer['steps']:,}")]
    rows += [("effective rank", rank), ("sha256", answer["sha256"]), ("log", answer["log"])]
    return table([*rows, *([("reconstructions", answer["preview"])] if answer["preview"] else [])])


@app.command
def evaluate_backbone(
    backbones: Annotated[list[str], Parameter()],
    /,
    *,
    scans: Names,
    truth: str = "truth",
    scale: float = 2.0,
    per_class: int = 600,
    slices: int = 3,
    device: str = "auto",
    seed: int = 0,
    common: Common = COMMON,
) -> None:
    """Measure how much of a truth can be read off a backbone's tokens, and how well they find crops of the same scan again, beside
    plain pixels and the same network untaught.

    Parameters
    ----------
    backbones
        Names, folders or files.
    scans
        Scans with a truth; the first teaches, the others are scored.
    truth
        The result that holds the truth.
    scale
        How far planes are enlarged first.
    per_class
        Labelled voxels of each class.
    slices
        Slices scored of each scan.
    device
        auto, cpu, cuda or mps.
    seed
        Which voxels teach.
    """
    run(
        "evaluate_backbone",
        _measured,
        common,
        backbones=backbones,
        scans=scans,
        truth=truth,
        scale=scale,
        per_class=per_class,
        slices=slices,
        device=device,
        seed=seed,
    )


def _measured(answer: Json) -> str:
    again = bool(answer["crops"])
    rows = [("features", "linear", "neighbours", *(("p@n_k", "nn F1") if again else ()), "effective rank")]
    for r in answer["rows"]:
        found = (f"{r['p_at_nk']:.3f}", f"{r['nn_f1']:.3f}") if again else ()
        rows.append((r["name"], f"{r['linear']:.3f}", f"{r['neighbours']:.3f}", *found, f"{r['effective_rank']:.1f}"))
    said = f"\n\nmean IoU; {answer['grouped']}"
    more = (
        f"\np@n_k, nn F1: {answer['crops']} crops are to find others of their scan" if again else "\nname two scans for scores of retrieval"
    )
    return table(rows) + said + more

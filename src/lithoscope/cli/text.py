"""The commands' answers in words."""

import shlex
from typing import Any

from lithoscope.cli.console import size, table
from lithoscope.measure.readable import readable

Json = dict[str, Any]


OLDER = "older than the field of view"
"""Said of results that were made before the field of view was changed."""


def info(answer: Json) -> str:
    """A scan in a few lines."""
    z, y, x = answer["shape"]
    voxel = "not known; set it with: lithoscope set SCAN --voxel-size Z Y X --unit um"
    if answer["voxel_size"]:
        voxel = " × ".join(f"{s:g}" for s in answer["voxel_size"]) + f" {answer['unit']} (z y x)"
    percentiles = ", ".join(f"{q} %: {v:g}" for q, v in answer["percentiles"].items())
    older = answer.get("older_than_fov", [])
    results = ", ".join(f"{name} ({OLDER})" if name in older else name for name in answer["results"]) or "none"
    return table(
        [
            ("shape", f"{z} × {y} × {x} (z y x), {answer['dtype']}"),
            ("voxel size", voxel),
            ("levels", ", ".join("×".join(map(str, shape)) for shape in answer["levels"])),
            ("percentiles", percentiles),
            ("field of view", answer["fov"] or "none: the whole scan"),
            ("images", ", ".join(answer["images"]) or "none"),
            ("source", ", ".join(f"{key} {value}" if key != "format" else str(value) for key, value in _told(answer["source"]))),
            ("results", results),
        ]
    )


TOLD = ("format", "name", "dataset", "sample", "energy", "voltage", "current", "filter", "device", "channel", "time", "unit", "description")
"""What is told of a source, in this order; the rest is in `--json`."""


def _told(source: Json) -> list[tuple[str, Any]]:
    return [(key, source[key]) for key in TOLD if source.get(key) not in (None, "")]


def segment(answer: Json) -> str:
    """What was fitted, and where the result is."""
    if "runs" in answer:
        return "\n\n".join(segment(run) for run in answer["runs"])
    rows = [("result", str(answer["output"])), ("method", answer["method"]), ("seconds", f"{answer['seconds']:.2f}")]
    rows += [(key, _value(value)) for key, value in answer["learnt"].items()]
    rows += [("note", note) for note in answer["notes"]]
    return table(rows)


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list):
        shown = ", ".join(_value(item) for item in value[:8])
        return shown + (f" … ({len(value)} in all)" if len(value) > 8 else "")
    if isinstance(value, dict):
        return ", ".join(
            f"{key} {_value(item)}" if not isinstance(item, dict) else f"{key} ({_value(item)})" for key, item in value.items()
        )
    return str(value)


def clean(answer: Json) -> str:
    """What each step changed, and where the result is."""
    if "corrected" in answer:
        return f"{answer['changed']} voxels of {answer['corrected']} corrected"
    rows = [("result", str(answer["output"])), ("seconds", f"{answer['seconds']:.2f}")]
    rows += [(step, f"{n} voxels changed") for step, n in zip(answer["parameters"]["steps"], answer["learnt"]["changed"], strict=True)]
    rows += [("note", note) for note in answer["notes"]]
    return table(rows)


def separate(answer: Json) -> str:
    """How many grains, how large, and where their table is."""
    about, unit = answer["summary"], answer["summary"]["unit"]
    rows = [
        ("result", str(answer["output"])),
        ("grains", f"{about['grains']} ({about['cut']} of them cut by the faces)"),
        ("diameter", f"{about['mean_diameter']:.4g} {unit} on average"),
        ("by volume", ", ".join(f"{q} {about[q]:.4g} {unit}" for q in ("d10", "d50", "d90"))),
        ("sphericity", f"{about['mean_sphericity']:.3f} on average"),
        ("contacts", f"{about['mean_contacts']:.2f} a grain on average"),
        ("tables", ", ".join(answer["files"])),
    ]
    return table(rows + [("note", note) for note in answer["notes"]])


def labels(answer: Json) -> str:
    """The results of a scan, one a line, and the runs that were not done."""
    ended = [
        f"unfinished: {run['name']} by {run['method']}, begun {run['created']}\n"
        + (f"  go on with it: {run['resume']}\n" if run["resume"] else "")
        + f"  or drop it: lithoscope labels delete {shlex.quote(answer['path'])} {shlex.quote(run['name'])}"
        for run in answer["unfinished"]
    ]
    if not answer["results"]:
        return "\n".join([f"{answer['scan']} has no results yet", *ended])
    rows = [("name", "kind", "method", "made", "classes")]
    rows += [
        (r["name"], r["kind"], r["method"], r["created"], ", ".join(r["classes"]) + (f" ({OLDER})" if r.get("older_than_fov") else ""))
        for r in answer["results"]
    ]
    return "\n".join([table(rows), *ended, *answer.get("notes", ())])


def classes(answer: Json) -> str:
    """The classes, one a line."""
    if not answer["classes"]:
        return f"{answer['result'] or answer['scan']} has no classes yet; add one: --set 1:name=pore"
    rows = [("class", "name", "colour", "porosity")]
    return table(rows + [(str(c["id"]), c["name"], c["colour"], f"{c['porosity']:g}") for c in answer["classes"]])


def export(answer: Json) -> str:
    """Where the file is."""
    return f"written to {answer['output']} in {answer['seconds']:.1f} s"


def measure(answer: Json) -> str:
    """Fractions, and scores where there is a truth."""
    rows = [("class", "fraction", "interval")]
    for id, phase in answer["phases"].items():
        interval = "" if phase.get("low") is None else f"{phase['low']:.4f} … {phase['high']:.4f}"
        rows.append((f"{id} {phase.get('name', '')}".strip(), f"{phase['fraction']:.4f}", interval))
    lines = [table(rows)]
    if "porosity" in answer and answer["porosity"] is not None:
        lines.append(f"porosity {answer['porosity']:.4f}")
    if answer.get("labelling"):
        lines.append("by the spot check of " + f"{answer['labelling']['named']} places (labelling errors, not sampling):")
        lines += [
            f"  class {id}: {of['value']:.4f}  ({of['low']:.4f} … {of['high']:.4f})" for id, of in answer["labelling"]["fractions"].items()
        ]
    if "mean_iou" in answer:
        lines.append(f"mean IoU {answer['mean_iou']:.4f}  (" + ", ".join(f"{i}: {v:.4f}" for i, v in answer["iou"].items()) + ")")
    if "structure" in answer:
        lines.append(_structure(answer))
    if "thickness" in answer:
        lines.append(_thickness(answer["thickness"], answer["phases"]))
    return "\n".join([*lines, *answer.get("notes", ())])


def spotcheck(answer: Json) -> str:
    """Accuracy and true fractions, or how many answers are still missing."""
    lines = [f"{answer['named']} of {answer['places']} places named"]
    if answer["table"]:
        lines.append(f"the places are in {answer['table']}; write the class you see there into the column seen")
    lines += answer["notes"]
    if answer["missing"]:
        return "\n".join([*lines, answer["missing"]])
    accuracy = answer["accuracy"]
    rows = [("class", "in the result", "true", "interval")]
    rows += [
        (id, f"{of['mapped']:.4f}", f"{of['value']:.4f}", f"{of['low']:.4f} … {of['high']:.4f}") for id, of in answer["fractions"].items()
    ]
    lines.append(f"accuracy {accuracy['value']:.4f}  ({accuracy['low']:.4f} … {accuracy['high']:.4f})")
    return "\n".join([*lines, table(rows)])


def _structure(answer: Json) -> str:
    found, rows = answer["structure"], [("class", "components", "in the largest", "reaches across", "surface")]
    for id, of in found["connected"].items():
        area = found["surface"]["phases"].get(id)
        across = ", ".join(axis for axis, there in of["percolates"].items() if there) or "no axis"
        surface = f"{readable(area['area'])} {found['surface']['unit']}²" if area else ""
        rows.append((id.replace("_", " "), str(of["components"]), f"{of['largest_fraction']:.4f}", across, surface))
    return table(rows)


def _thickness(found: Json, phases: Json) -> str:
    rows: list[tuple[str, ...]] = [("class", "mean thickness", "spread", "median", "largest")]
    for id, of in found["phases"].items():
        name = f"{id} {phases[id].get('name', '')}".strip() if id in phases else id.replace("_", " ")
        rows.append((name, *(f"{of[key]:.4g} {found['unit']}" for key in ("mean", "sd", "median", "largest"))))
    blocks = "" if found["blocks"] == found["of_blocks"] else f"\nthickness of {found['blocks']} of {found['of_blocks']} blocks of the scan"
    return table(rows) + blocks


def compare(answer: Json) -> str:
    """The methods, best first, with what each cluster was taken for."""
    rows = [("method", "mean IoU", "seconds", "memory", "result")]
    left = []
    for m in answer["methods"]:
        if m["mean_iou"] is None:
            left.append(f"{m['name']}: {m.get('missing') or 'failed: ' + m.get('error', '')}")
            continue
        spread = "" if m.get("mean_iou_sd") is None else f" ± {m['mean_iou_sd']:.4f}"
        rows.append((m["name"], f"{m['mean_iou']:.4f}{spread}", f"{m['seconds']:.1f}", size(m["peak_bytes"]), m["result"]))
    names = {str(c["id"]): c["name"] for c in answer["classes"]["classes"]}
    maps = [
        f"{m['name']}: " + ", ".join(f"cluster {own} is {names[str(id)]}" for own, id in m["class_map"].items())
        for m in answer["methods"]
        if m.get("class_map")
    ]
    notes = (answer["truth"] or {}).get("notes", [])
    return "\n".join([table(rows), *left, *maps, *notes, *(f"written to {file}" for file in answer.get("report", []))])


def report(answer: Json) -> str:
    """Where the page and its tables are."""
    return "\n".join(f"written to {file}" for file in answer["files"])


def repeat(answer: Json) -> str:
    """Whether it came out the same."""
    same = "the same, byte for byte" if answer.get("identical") else "not the same"
    return "\n".join([same, *answer.get("reasons", [])])


def bundle(answer: Json) -> str:
    """Where the bundle is, and its size."""
    return f"{answer['path']}: {answer['files']} files, {size(answer['bytes'])}"


def methods(answer: Json) -> str:
    """Every method with its settings."""
    return _described(answer["methods"])


def filters(answer: Json) -> str:
    """Every image filter with its settings."""
    return _described(answer["filters"])


def _described(kinds: list[Json]) -> str:
    lines = []
    for kind in kinds:
        lines.append(f"{kind['name']}: {kind['summary']}")
        rows: list[tuple[str, ...]] = [(f"  {p['name']}={_default(p)}", p["help"]) for p in kind["parameters"]]
        lines.append(table(rows))
    return "\n".join(line for line in lines if line)


def filtered(answer: Json) -> str:
    """What was found out, and how to use the image."""
    rows = [("image", str(answer["output"])), ("filter", answer["method"]), ("seconds", f"{answer['seconds']:.2f}")]
    rows += [(key, _value(value)) for key, value in {**answer["parameters"], **answer["learnt"]}.items()]
    rows += [("note", note) for note in answer["notes"]]
    rows.append(("use it", f"lithoscope segment SCAN --method otsu --image {answer['output']}"))
    return table(rows)


def images(answer: Json) -> str:
    """The filtered images of a scan, one a line."""
    if not answer["images"]:
        return f"{answer['scan']} has no filtered images yet"
    rows = [("name", "filter", "of", "made")]
    rows += [(i["name"], i["method"], i["image"] or "the scan", i["created"]) for i in answer["images"]]
    return table(rows)


def _default(parameter: Json) -> str:
    default = parameter["default"]
    if isinstance(default, (list, tuple)):
        return ",".join(map(str, default))
    return str(default).lower() if isinstance(default, bool) or default is None else str(default)


def doctor(answer: Json) -> str:
    """The examination as text."""
    from lithoscope.doctor import as_text

    return as_text(answer)

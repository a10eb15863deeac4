"""What is written: the page, all numbers as JSON, and each table as CSV."""

import csv
import json
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from lithoscope.errors import InputError, TakenError
from lithoscope.volume.store import storage_errors

Row = Sequence[Any]


TABLES = ("phases", "profiles", "representative", "correlation", "thickness", "methods", "methods-by-slice")


def check_place(out: Path, *, overwrite: bool = False) -> None:
    """Refuse a page that is none by its name, and, unless it may `overwrite`, one of whose files is there already."""
    if out.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{out.name} does not end in .html; name the page so")
    files = [out, out.with_suffix(".json"), *(out.with_name(f"{out.stem}-{name}.csv") for name in TABLES)]
    if not overwrite and (taken := [file for file in files if file.exists()]):
        raise TakenError(f"{taken[0]} exists already; give another name, or --overwrite")


def write_files(out: Path, html: str, whole: Mapping[str, Any]) -> list[Path]:
    """The page at `out` and, named after it, a .json and a .csv a table; each gets its name when it is whole."""
    texts = {out: html, out.with_suffix(".json"): json.dumps(whole, indent=1, ensure_ascii=False)}
    for name, rows in tables(whole).items():
        texts[out.with_name(f"{out.stem}-{name}.csv")] = _csv(rows)
    with storage_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        for file, text in texts.items():
            partial = file.with_name(file.name + ".partial")
            partial.write_text(text, encoding="utf-8", newline="")
            partial.replace(file)
    return list(texts)


def tables(whole: Mapping[str, Any]) -> dict[str, list[Row]]:
    """Every table of the page with its head, by name."""
    found: dict[str, list[Row]] = {}
    phases: list[Row] = [("result", "class", "name", "fraction", "low", "high", "voxels", "volume", "volume_unit")]
    profiles: list[Row] = [("result", "axis", "slice", "class", "fraction")]
    curve: list[Row] = [("result", "class", "edge_voxels", "length", "boxes", "low", "median", "high")]
    correlation: list[Row] = [("result", "class", "axis", "lag_voxels", "probability")]
    thickness: list[Row] = [("result", "class", "thickness", "unit", "fraction")]
    for name, one in whole["results"].items():
        m = one["measured"]
        for id, p in m["phases"].items():
            phases.append((name, id, p["name"], p["fraction"], p["low"], p["high"], p["voxels"], p.get("volume"), m["volume_unit"]))
        phases.append((name, "", "porosity", m["porosity"], m["porosity_low"], m["porosity_high"], m["voxels"], None, None))
        for axis, by_class in m["profiles"].items():
            profiles += [(name, axis, at, id, value) for id, values in by_class.items() for at, value in enumerate(values)]
        for id, steps in m["representative"].items():
            curve += [(name, id, s["edge"], s.get("length"), s["boxes"], s["low"], s["median"], s["high"]) for s in steps]
        for id, c in m["correlation"].items():
            correlation += [(name, id, axis, lag, v) for axis, values in c["probability"].items() for lag, v in enumerate(values)]
        for id, of in m.get("thickness", {"phases": {}})["phases"].items():
            shares = zip(of["distribution"]["at"], of["distribution"]["fraction"], strict=True)
            thickness += [(name, id, at, m["thickness"]["unit"], share) for at, share in shares]
    found |= {"phases": phases, "profiles": profiles, "representative": curve, "correlation": correlation}
    if len(thickness) > 1:
        found["thickness"] = thickness
    if whole["comparison"] is not None:
        found |= _compared(whole["comparison"])
    return found


def _compared(compared: Mapping[str, Any]) -> dict[str, list[Row]]:
    ids = [str(c["id"]) for c in compared["classes"]["classes"]]
    head = ("method", "mean_iou", "mean_iou_sd", *(f"iou_{id}" for id in ids), "mean_boundary_f1", "seconds", "fit_seconds", "peak_bytes")
    methods: list[Row] = [(*head, "gpu_peak_bytes", "why_not")]
    slices: list[Row] = [("method", "slice", "mean_iou")]
    for m in compared["methods"]:
        iou = m.get("iou", {})
        keys = ("mean_boundary_f1", "seconds", "fit_seconds", "peak_bytes", "gpu_peak_bytes")
        why = m.get("missing") or m.get("error")
        methods.append((m["name"], m["mean_iou"], m.get("mean_iou_sd"), *(iou.get(id) for id in ids), *(m.get(k) for k in keys), why))
        slices += [(m["name"], z, v) for z, v in enumerate(m.get("by_slice", {}).get("mean_iou", ()))]
    return {"methods": methods, "methods-by-slice": slices}


def _csv(rows: Sequence[Row]) -> str:
    held = StringIO()
    csv.writer(held).writerows(rows)
    return held.getvalue()

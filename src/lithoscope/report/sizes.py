"""How thick the phases of one result are, as a table and a figure of the page."""

from html import escape

from lithoscope.classes import ClassTable
from lithoscope.report import sections
from lithoscope.report.charts import Line, lines


def table(measured: sections.Json, classes: ClassTable) -> str:
    """Mean, spread, median and largest thickness by phase; nothing where it was not measured."""
    if "thickness" not in measured:
        return ""
    found = measured["thickness"]
    unit, rows = escape(found["unit"]), []
    for id, of in found["phases"].items():
        name = "all pores" if id == "pore_space" else sections.swatch(classes[int(id)].colour, classes[int(id)].name)
        values = [f"{of[key]:.4g} {unit}" for key in ("mean", "sd", "median", "largest")]
        rows.append([name, *values, f"{of['voxels']:,}"])
    made = "<h3>Local thickness</h3>" + sections.table(["phase", "mean", "spread", "median", "largest", "voxels"], rows)
    words = []
    if found["blocks"] < found["of_blocks"]:
        words.append(f"Measured in {found['blocks']} of {found['of_blocks']} blocks, spread over the scan.")
    if any(of["cut_off"] for of in found["phases"].values()):
        words.append(f"Spheres larger than {found['largest_followed']:.4g} {unit} count as that large.")
    return made + f'<p class="soft">{" ".join(words)}</p>' if words else made


def figure(measured: sections.Json, classes: ClassTable) -> str:
    """The distribution of the thickness of each phase."""
    if "thickness" not in measured:
        return ""
    found = measured["thickness"]
    curves = []
    for id, of in found["phases"].items():
        if id != "pore_space":
            shares = [100 * v for v in of["distribution"]["fraction"]]
            curves.append(Line(classes[int(id)].name, classes[int(id)].colour, of["distribution"]["at"], shares))
    drawn = lines(curves, f"local thickness ({found['unit']})", "% of the phase", title="distribution of local thickness", zero=True)
    return sections.figure("Sizes", drawn, "The part of each phase by the diameter of the largest sphere that holds the voxel.")

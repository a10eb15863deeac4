"""What this machine offers Lithoscope, and the command that mends what is wrong.

Everything that could hang or crash (a driver, Qt, OpenGL, torch) is asked in a process of its own. Nothing here changes
anything, or knows a scan.
"""

import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import platformdirs
import psutil

import lithoscope

GIB = 1024**3

QT_LIBRARIES = {
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libfontconfig.so.1": "libfontconfig1",
    "libdbus-1.so.3": "libdbus-1-3",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-shape.so.0": "libxcb-shape0",
}
"""What Qt loads on Linux to open a window, and Debian's package of each."""

LIBRARIES = """
import ctypes, json, sys
missing = []
for name in sys.argv[1:]:
    try:
        ctypes.CDLL(name)
    except OSError:
        missing.append(name)
print(json.dumps({"missing": missing}))
"""

QT = """
import json
import qtpy
from qtpy import QtCore
print(json.dumps({"binding": qtpy.API_NAME, "version": QtCore.qVersion()}))
"""

OPENGL = """
import json
from qtpy.QtGui import QGuiApplication, QOffscreenSurface, QOpenGLContext
application = QGuiApplication([])
surface = QOffscreenSurface()
surface.create()
context = QOpenGLContext()
if not context.create() or not context.makeCurrent(surface):
    raise SystemExit("no OpenGL context could be made")
from OpenGL import GL
print(json.dumps({key: GL.glGetString(getattr(GL, "GL_" + key.upper())).decode() for key in ("vendor", "renderer", "version")}))
"""

TORCH = """
import json, torch
mps = getattr(torch.backends, "mps", None)
print(json.dumps({
    "version": torch.__version__, "cuda": torch.version.cuda, "hip": torch.version.hip,
    "devices": ["cpu"] + ["cuda"] * torch.cuda.is_available() + ["mps"] * bool(mps and mps.is_available()),
    "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else [],
    "threads": torch.get_num_threads(),
}))
"""

SELF_TEST = """
import copy, json, sys, time
import torch
from torch import nn
torch.manual_seed(0)
network = nn.Sequential(
    nn.Conv2d(1, 64, 16, 16), nn.Flatten(2), nn.Unflatten(1, (64,)), nn.LayerNorm(196),
    nn.TransformerEncoderLayer(196, 4, 392, dropout=0.0, batch_first=True), nn.Linear(196, 8),
).eval()
window = torch.rand(1, 1, 224, 224)
with torch.inference_mode():
    expected = copy.deepcopy(network).double()(window.double()).float()
    start = time.perf_counter()
    found = network.to(sys.argv[1])(window.to(sys.argv[1])).cpu()
    seconds = time.perf_counter() - start
error = float((found - expected).abs().max() / expected.abs().max())
print(json.dumps({"device": sys.argv[1], "difference": error, "seconds": round(seconds, 3), "passed": error < 0.01}))
"""


def examine() -> dict[str, Any]:
    """Everything that decides how well Lithoscope runs here, as plain JSON; `advice` is what to do about it, a line each."""
    found: dict[str, Any] = {
        "lithoscope": lithoscope.__version__,
        "system": system(),
        "python": {"version": platform.python_version(), "executable": sys.executable},
        "qt": qt(),
        "gl": opengl(),
        "driver": driver(),
        "torch": torch_build(),
        "disk": disk(),
        "cache": cache(),
    }
    found["advice"] = advice(found)
    return found


def probe(code: str, *arguments: str, timeout: float = 60) -> dict[str, Any]:
    """What a process of its own prints as JSON, or `{"problem": ...}` when it fails, crashes or hangs."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, errors="replace", timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired:
        return {"problem": f"no answer within {timeout:.0f} s"}
    except OSError as error:
        return {"problem": str(error)}
    if done.returncode == 0 and done.stdout.strip():
        try:
            answer = json.loads(done.stdout.strip().splitlines()[-1])
        except json.JSONDecodeError:
            return {"problem": "an answer that is not JSON"}
        return dict(answer)
    said = done.stderr.strip().splitlines()
    return {"problem": said[-1][:300] if said else f"ended with status {done.returncode}"}


def installed(package: str) -> bool:
    """Whether a package can be imported; it is not."""
    return importlib.util.find_spec(package) is not None


def system() -> dict[str, Any]:
    """Operating system, cores and memory."""
    memory = psutil.virtual_memory()
    return {
        "name": platform.platform(),
        "machine": platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if sys.platform.startswith("linux") else os.cpu_count(),
        "memory_bytes": memory.total,
        "memory_free_bytes": memory.available,
    }


def qt() -> dict[str, Any]:
    """Qt's binding and version, and the libraries of the system that its windows would miss."""
    if not installed("qtpy"):
        return {"installed": False}
    found = {"installed": True, "display": has_display(), **probe(QT)}
    if sys.platform.startswith("linux"):
        missing = probe(LIBRARIES, *QT_LIBRARIES).get("missing", [])
        found["missing_libraries"] = missing
        found["missing_packages"] = [QT_LIBRARIES[name] for name in missing]
    return found


def has_display() -> bool:
    """Whether a window could be seen."""
    return not sys.platform.startswith("linux") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def opengl() -> dict[str, Any]:
    """Who draws: vendor, renderer and version of OpenGL, where there is a display."""
    if not installed("qtpy"):
        return {"problem": "Qt is not installed"}
    if not has_display():
        return {"problem": "there is no display"}
    return probe(OPENGL, timeout=30)


def driver() -> dict[str, Any]:
    """NVIDIA's driver and GPUs as nvidia-smi knows them."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return {"installed": False, "gpus": []}
    query = [program, "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, errors="replace", timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return {"installed": True, "gpus": [], "problem": f"nvidia-smi does not answer: {error}"}
    rows = [[cell.strip() for cell in line.split(",")] for line in done.stdout.splitlines()]
    gpus = [{"name": row[0], "driver": row[1], "memory": row[2]} for row in rows if len(row) == 3]
    if done.returncode or not gpus:
        said = (done.stdout + done.stderr).strip().splitlines()
        return {"installed": True, "gpus": [], "problem": said[0] if said else f"nvidia-smi ended with status {done.returncode}"}
    return {"installed": True, "gpus": gpus}


def torch_build() -> dict[str, Any]:
    """Torch's version, what it was built for, the devices it sees, and one window on each of them against the CPU in double precision."""
    if not installed("torch"):
        return {"installed": False}
    found = probe(TORCH, timeout=180)
    tests = [{"device": device, **probe(SELF_TEST, device, timeout=180)} for device in found.get("devices", [])]
    return {"installed": True, **found, "self_test": tests}


def disk() -> dict[str, Any]:
    """Room on the disk of the current folder."""
    try:
        folder = Path.cwd()
        return {"path": str(folder), "free_bytes": shutil.disk_usage(folder).free}
    except OSError as error:
        return {"path": ".", "problem": str(error)}


def cache() -> dict[str, Any]:
    """The folder of things that can be made again, and its size."""
    folder = platformdirs.user_cache_path("lithoscope", appauthor=False)
    size = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                size += (Path(parent) / name).lstat().st_size
            except OSError:
                continue
    return {"path": str(folder), "bytes": size}


def advice(found: dict[str, Any]) -> list[str]:
    """What to do, a line each: the command that mends, where one does."""
    lines = []
    window = found["qt"]
    if window.get("missing_packages"):
        install = "sudo apt-get install" if shutil.which("apt-get") else "install, by Debian's names,"
        lines.append(f"Windows lack libraries of the system: {install} {' '.join(window['missing_packages'])}")
    elif window["installed"] and "problem" in window:
        lines.append(f'Qt does not start ({window["problem"]}): {pip()} install "napari[pyqt6]"')
    elif not window["installed"]:
        lines.append(f'For the docks, install napari with Qt: {pip()} install "napari[all]"')

    gpu, torch = found["driver"], found["torch"]
    if "problem" in gpu:
        lines.append("NVIDIA's driver does not answer: restart the machine, or install the driver again; nvidia-smi must list the GPU")
    if not torch["installed"]:
        lines.append(f"Torch is not installed; only the networks need it: {install_torch(gpu=bool(gpu['gpus']))}")
    elif "problem" in torch:
        lines.append(f"Torch does not load ({torch['problem']}): {install_torch(gpu=bool(gpu['gpus']), again=True)}")
    elif gpu["gpus"] and "cuda" not in torch["devices"]:
        why = f"was built for CUDA {torch['cuda']}, which this driver does not run" if torch.get("cuda") else "was built without CUDA"
        lines.append(f"Torch cannot use the {gpu['gpus'][0]['name']}: it {why}. {install_torch(gpu=True, again=True)}")
    lines += [
        f"Torch on {test['device']} fails its self-test ({test.get('problem', 'it differs from the CPU')}): use --device cpu"
        for test in torch.get("self_test", [])
        if not test.get("passed")
    ]
    return lines


def pip() -> str:
    """The pip of this Python, as one types it."""
    executable = f'"{sys.executable}"' if " " in sys.executable else sys.executable
    return f"{executable} -m pip"


def install_torch(*, gpu: bool, again: bool = False) -> str:
    """The command that installs the build of torch that fits: uv reads the driver's version and chooses."""
    build = "auto" if gpu or not sys.platform.startswith("linux") else "cpu"
    python = pip().removesuffix(" -m pip")
    reinstall = "--reinstall-package torch " if again else ""
    what = "torch" if again else "torch peft transformers safetensors"
    return f"{pip()} install uv && {python} -m uv pip install --python {python} --torch-backend {build} {reinstall}{what}"


def as_text(found: dict[str, Any]) -> str:
    """What was found, for a person to read or to paste into a bug report."""
    machine, window, gl, gpu, torch = (found[key] for key in ("system", "qt", "gl", "driver", "torch"))
    memory = f"{in_gib(machine['memory_free_bytes'])} of {in_gib(machine['memory_bytes'])} free"
    rows = [
        ("Lithoscope", found["lithoscope"]),
        (
            "System",
            f"{machine['name']}, {machine['cores']} cores, {memory}",
        ),
        ("Python", f"{found['python']['version']} ({found['python']['executable']})"),
        ("Qt", window.get("problem") or (f"{window['binding']} {window['version']}" if window["installed"] else "not installed")),
        ("OpenGL", gl.get("problem") or f"{gl['renderer']} ({gl['vendor']}), {gl['version']}"),
        (
            "NVIDIA",
            gpu.get("problem") or ("; ".join(f"{one['name']}, {one['memory']}, driver {one['driver']}" for one in gpu["gpus"]) or "none"),
        ),
        ("Torch", torch_in_words(torch)),
        *(("Self-test", test_in_words(test)) for test in torch.get("self_test", [])),
        ("Disk", found["disk"].get("problem") or f"{in_gib(found['disk']['free_bytes'])} free in {found['disk']['path']}"),
        ("Cache", f"{in_gib(found['cache']['bytes'])} in {found['cache']['path']}"),
    ]
    text = [f"{name:<11} {value}" for name, value in rows]
    return "\n".join([*text, *(["", *(f"! {line}" for line in found["advice"])] if found["advice"] else [])])


def in_gib(size: int) -> str:
    """A number of bytes for people."""
    return f"{size / GIB:.1f} GiB"


def torch_in_words(torch: dict[str, Any]) -> str:
    """Torch in one line."""
    if not torch["installed"]:
        return "torch is not installed: methods up to fuzzy C-means work without"
    if "problem" in torch:
        return str(torch["problem"])
    built = f"CUDA {torch['cuda']}" if torch.get("cuda") else f"ROCm {torch['hip']}" if torch.get("hip") else "no CUDA"
    return f"{torch['version']} ({built}), devices: {', '.join(torch['devices'])}"


def test_in_words(test: dict[str, Any]) -> str:
    """One self-test in one line."""
    if "problem" in test:
        return f"{test['device']}: {test['problem']}"
    return f"{test['device']}: {'as' if test['passed'] else 'NOT as'} the CPU, within {test['difference']:.1e}, {test['seconds']:.2f} s"

"""The two commands that set everything up: `python3 dev.py demo` and `python3 dev.py test`.

Needs Python 3.11 and nothing else, so it imports the standard library alone. It installs the system's missing libraries (Debian
and its relatives), keeps tox and uv in .lithoscope-tools, and leaves the rest to tox.ini.
"""

import argparse
import ast
import ctypes
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent
TOOLS = ROOT / ".lithoscope-tools"
CONSTRAINTS = ROOT / "requirements" / "constraints.txt"
TOOL_PACKAGES = ("tox", "tox-uv", "uv")
TESTS = ("lint", "core", "networks", "widgets", "viewer")

WINDOW_LIBRARIES = {
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
"""What Qt loads to open a window, and Debian's package of each."""

SCREEN_PROGRAMS = {"xvfb-run": "xvfb", "Xvfb": "xvfb", "xauth": "xauth"}
"""What gives the viewer tests a virtual screen."""

ON_LINUX = sys.platform.startswith("linux")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that was asked for; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python3 dev.py", description="Set up, and show or test Lithoscope.")
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser(
        "demo", help="make a sample scan, segment it and show it in napari (without a display: write mask and picture)"
    )
    demo.add_argument("rest", nargs="*", metavar="-- ARGUMENT", help="passed to lithoscope demo, after --")
    test = commands.add_parser("test", help=f"run the tests: {', '.join(TESTS)}")
    test.add_argument("environments", nargs="*", default=[], metavar="ENVIRONMENT", help="only these")
    asked = parser.parse_args(arguments)
    if sys.version_info < (3, 11):  # noqa: UP036 - this file runs before anything is installed
        return stop(f"Lithoscope needs Python 3.11 or newer; this is {platform.python_version()}")

    if asked.command == "demo":
        shown = has_display()
        prepare_system(window=shown, screen=False)
        return tox(["demo" if shown else "demo-headless"], asked.rest)

    environments = asked.environments or list(TESTS)
    if unknown := set(environments) - set(TESTS):
        return stop(f"there is no test environment {', '.join(sorted(unknown))}; they are {', '.join(TESTS)}")
    prepare_system(window=not set(environments) <= {"core", "networks"}, screen="viewer" in environments)
    for environment in environments:
        report_of(environment).unlink(missing_ok=True)
    status = tox(environments, [])
    summarise(environments)
    return status


def stop(message: str) -> int:
    """Say why it ends here, and how."""
    print(message, file=sys.stderr)
    return 2


def has_display() -> bool:
    """Whether a window would be seen by anyone."""
    return not ON_LINUX or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


# --- the system's own packages


def prepare_system(*, window: bool, screen: bool) -> None:
    """Have the system's libraries at hand, or end with the command that installs them."""
    if not ON_LINUX:
        return
    missing = missing_packages(window=window, screen=screen)
    if not missing:
        return
    if shutil.which("apt-get") is None:
        raise SystemExit(
            stop(f"Please install these with the system's package manager (Debian's names), then try again: {' '.join(missing)}")
        )
    if not may_install():
        command = f"apt-get update && apt-get install --yes --no-install-recommends {' '.join(missing)}"
        raise SystemExit(stop(f"The system lacks some packages. As root, run this, then try again:\n\n  {command}\n"))
    print(f"Installing from the system's packages: {' '.join(missing)}", flush=True)
    apt_get("update")
    if apt_get("install", "--yes", "--no-install-recommends", *missing):
        raise SystemExit(stop(f"apt-get could not install {' '.join(missing)}; see its messages above"))
    if left := missing_packages(window=window, screen=screen):
        raise SystemExit(stop(f"apt-get installed {' '.join(left)}, and yet what they bring is not found"))


def apt_get(*arguments: str) -> int:
    """Run apt-get as root, without questions; returns its exit status."""
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    command = [*sudo, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-o", "DPkg::Lock::Timeout=120", *arguments]
    return subprocess.run(command, check=False).returncode


def may_install() -> bool:
    """Whether this is root, or sudo can be used: a person at a terminal gives the password, or none is asked for."""
    if os.geteuid() == 0:
        return True
    if shutil.which("sudo") is None:
        return False
    return sys.stdin.isatty() or subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0


def missing_packages(*, window: bool, screen: bool) -> list[str]:
    """Debian's names of what is not there: certificates, libraries for windows, a virtual screen."""
    missing = []
    certificates = os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE") or "/etc/ssl/certs/ca-certificates.crt"
    if Path("/etc/debian_version").exists() and not Path(certificates).exists():
        missing.append("ca-certificates")
    if window:
        missing += [package for library, package in WINDOW_LIBRARIES.items() if not loads(library)]
    if screen:
        missing += [package for program, package in SCREEN_PROGRAMS.items() if shutil.which(program) is None]
    return list(dict.fromkeys(missing))


def loads(library: str) -> bool:
    """Whether the dynamic linker finds this library."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


# --- tox and uv


def tool(name: str) -> Path:
    """Where a program of the tool environment lies."""
    return TOOLS / "Scripts" / f"{name}.exe" if os.name == "nt" else TOOLS / "bin" / name


def tool_versions() -> list[str]:
    """The tools at the versions that were verified."""
    pins = dict(
        line.split("==") for line in CONSTRAINTS.read_text(encoding="utf-8").splitlines() if "==" in line and not line.startswith("#")
    )
    return [f"{package}=={pins[package]}" for package in TOOL_PACKAGES]


def prepare_tools() -> None:
    """Make the tool environment, unless it is there and as wanted."""
    stamp = TOOLS / "made-of.txt"
    wanted = "\n".join([*tool_versions(), sys.executable, platform.python_version()])
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return
    print("Setting up tox and uv", flush=True)
    try:
        import venv
    except ImportError:
        raise SystemExit(stop("This Python comes without venv; install its package for that (python3-venv), then try again")) from None

    has_pip = importlib.util.find_spec("ensurepip") is not None
    venv.create(TOOLS, clear=True, with_pip=has_pip)
    if not has_pip:
        install_debians_pip()
    pip = [str(tool("python")), "-m", "pip", "--disable-pip-version-check"]
    if subprocess.run([*pip, "install", "--quiet", "--constraint", str(CONSTRAINTS), *tool_versions()], check=False).returncode:
        raise SystemExit(stop("pip could not install tox; see its messages above"))
    stamp.write_text(wanted, encoding="utf-8")


def install_debians_pip() -> None:
    """Put the pip of Debian's python3-pip-whl in the tool environment, where Python came without; nothing is installed in the system."""
    package = "python3-pip-whl"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fetch = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", package]
        if shutil.which("apt-get") and subprocess.run(fetch, cwd=folder, check=False).returncode and may_install():
            apt_get("update")
            subprocess.run(fetch, cwd=folder, check=False)
        for archive in folder.glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", str(archive), str(folder)], check=False)
        wheel = next(folder.glob("usr/share/python-wheels/pip-*.whl"), None)
        install = [str(tool("python")), f"{wheel}/pip", "install", "--quiet", "--no-index", str(wheel)]
        if wheel is None or subprocess.run(install, check=False).returncode:
            raise SystemExit(
                stop(
                    "This Python has no pip and no ensurepip. As root, run this, then try again:\n\n  apt-get install --yes python3-venv\n"
                )
            )


def environment() -> dict[str, str]:
    """This process's environment, with pip's settings said in uv's words where uv has none of its own."""
    listed = subprocess.run([str(tool("python")), "-m", "pip", "config", "list"], capture_output=True, text=True, check=False)
    told = {"UV_HTTP_TIMEOUT": "180", **in_uvs_words(listed.stdout), **os.environ}
    return {**torch_backend(told.get("UV_FIND_LINKS", "")), **told}


def torch_backend(find_links: str) -> dict[str, str]:
    """Which build of torch uv takes on Linux: one that fits the NVIDIA driver, or one without CUDA.

    Where a folder of wheels holds a build without CUDA, that one comes first of its own accord.
    """
    if not ON_LINUX:
        return {}
    if shutil.which("nvidia-smi"):
        return {"UV_TORCH_BACKEND": "auto"}
    folders = [Path(folder.removeprefix("file://")) for folder in find_links.split(",") if folder]
    if any(folder.is_dir() and any(folder.glob("torch-*+cpu-*.whl")) for folder in folders):
        return {}
    return {"UV_TORCH_BACKEND": "cpu"}


def in_uvs_words(listed: str) -> dict[str, str]:
    """Index, certificates, proxy and folders of wheels, from what `pip config list` prints, as uv's variables."""
    found: dict[str, str] = {}
    for line in listed.splitlines():
        key, _, value = line.partition("=")
        scope, _, name = key.rpartition(".")
        if scope in {"global", "install", ":env:"}:
            found[name] = str(ast.literal_eval(value))
    names = {"index-url": "UV_DEFAULT_INDEX", "cert": "SSL_CERT_FILE", "proxy": "HTTPS_PROXY", "trusted-host": "UV_INSECURE_HOST"}
    said = {variable: found[name] for name, variable in names.items() if name in found}
    if "find-links" in found:
        said["UV_FIND_LINKS"] = ",".join(found["find-links"].split())
    return said


def tox(environments: Sequence[str], rest: Sequence[str]) -> int:
    """Run these environments of tox.ini, one after the other; returns tox's exit status."""
    prepare_tools()
    command = [str(tool("python")), "-m", "tox", "run", "--workdir", str(ROOT / ".tox"), "-c", str(ROOT), "-e", ",".join(environments)]
    if rest:
        command += ["--", *rest]
    return subprocess.run(command, cwd=ROOT, env=environment(), check=False).returncode


# --- what the tests said


def report_of(environment: str) -> Path:
    """Where pytest writes what it found in this environment."""
    return ROOT / ".tox" / environment / "report.xml"


def summarise(environments: Sequence[str]) -> None:
    """Print the tests of all environments in one line."""
    for environment in environments:
        if environment != "lint" and not report_of(environment).is_file():
            print(f"{environment}: its tests ended without a report", file=sys.stderr, flush=True)
    counted = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
    for report in filter(Path.is_file, map(report_of, environments)):
        for suite in ET.parse(report).iter("testsuite"):
            for name in counted:
                counted[name] += int(suite.get(name, 0))
    failed = counted["failures"] + counted["errors"]
    print(f"{counted['tests'] - failed - counted['skipped']} passed, {failed} failed, {counted['skipped']} skipped", flush=True)


if __name__ == "__main__":
    sys.exit(main())

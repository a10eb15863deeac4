"""The doctor finds what is there, says what mends it, and never falls over."""

import json
import os
import sys
from pathlib import Path

import pytest

from lithoscope import doctor

NO_TORCH = {"installed": False}
CPU_TORCH = {"installed": True, "version": "2.9.0+cpu", "cuda": None, "hip": None, "devices": ["cpu"], "gpus": [], "self_test": []}


@pytest.fixture
def path_folder(tmp_path, monkeypatch) -> Path:
    """The first folder on PATH, in which a test puts its programs."""
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def write_program(folder: Path, name: str, lines: list[str], status: int = 0) -> None:
    """A program that prints these lines."""
    if os.name == "nt":
        (folder / f"{name}.cmd").write_text("\n".join(["@echo off", *(f"echo {line}" for line in lines), f"exit /b {status}"]))
        return
    program = folder / name
    program.write_text("\n".join(["#!/bin/sh", *(f"echo '{line}'" for line in lines), f"exit {status}"]))
    program.chmod(0o755)


def test_every_part_is_reported_as_plain_json_and_as_text():
    found = doctor.examine()
    assert set(found) == {"lithoscope", "system", "python", "qt", "gl", "driver", "torch", "disk", "cache", "advice"}
    assert json.loads(json.dumps(found)) == found
    text = doctor.as_text(found)
    assert all(name in text for name in ("System", "Python", "Qt", "OpenGL", "NVIDIA", "Torch", "Disk", "Cache"))


def test_a_gpu_is_read_from_nvidia_smi(path_folder):
    write_program(path_folder, "nvidia-smi", ["NVIDIA RTX A4000, 570.86.15, 16376 MiB", "NVIDIA RTX A2000, 570.86.15, 6138 MiB"])
    assert doctor.driver() == {
        "installed": True,
        "gpus": [
            {"name": "NVIDIA RTX A4000", "driver": "570.86.15", "memory": "16376 MiB"},
            {"name": "NVIDIA RTX A2000", "driver": "570.86.15", "memory": "6138 MiB"},
        ],
    }


def test_a_driver_that_does_not_answer_is_said(path_folder):
    write_program(path_folder, "nvidia-smi", ["NVIDIA-SMI has failed because it could not communicate with the NVIDIA driver."], status=9)
    found = doctor.driver()
    assert found["gpus"] == []
    assert "has failed" in found["problem"]


def test_an_nvidia_smi_that_cannot_be_run_is_no_crash(path_folder):
    broken = path_folder / ("nvidia-smi.exe" if os.name == "nt" else "nvidia-smi")
    broken.write_bytes(b"\x7fELFgarbage")
    broken.chmod(0o755)
    found = doctor.driver()
    assert found["gpus"] == []
    assert "nvidia-smi does not answer" in found["problem"] or "ended with status" in found["problem"]


def test_without_nvidia_smi_there_is_no_driver(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert doctor.driver() == {"installed": False, "gpus": []}


@pytest.mark.parametrize(
    ("torch", "expected"),
    [
        (CPU_TORCH, "built without CUDA"),
        ({**CPU_TORCH, "cuda": "13.0"}, "built for CUDA 13.0, which this driver does not run"),
    ],
)
def test_a_gpu_that_torch_cannot_use_gets_the_command_that_mends_it(path_folder, monkeypatch, torch, expected):
    write_program(path_folder, "nvidia-smi", ["NVIDIA RTX A4000, 570.86.15, 16376 MiB"])
    monkeypatch.setattr(doctor, "torch_build", lambda: torch)
    (line,) = [line for line in doctor.examine()["advice"] if "RTX A4000" in line]
    assert expected in line
    assert "--torch-backend auto --reinstall-package torch torch" in line


def test_missing_torch_is_said_to_be_needed_by_the_networks_alone(path_folder, monkeypatch):
    monkeypatch.setattr(doctor, "torch_build", lambda: NO_TORCH)
    found = doctor.examine()
    assert "torch is not installed: methods up to fuzzy C-means work without" in doctor.as_text(found)
    assert any("only the networks need it" in line for line in found["advice"])


def test_a_failed_self_test_advises_the_cpu():
    failed = {**CPU_TORCH, "devices": ["cpu", "mps"], "self_test": [{"device": "mps", "passed": False, "difference": 0.5, "seconds": 0.1}]}
    found = {"qt": {"installed": True}, "driver": {"installed": False, "gpus": []}, "torch": failed}
    assert doctor.advice(found) == ["Torch on mps fails its self-test (it differs from the CPU): use --device cpu"]


@pytest.mark.parametrize(
    "code",
    ["raise RuntimeError('broken build')", "import os; os.abort()", "print('hello')", "print()", "import sys; sys.exit(3)"],
)
def test_a_process_that_fails_is_a_problem_not_a_crash(code):
    assert set(doctor.probe(code)) == {"problem"}


def test_a_process_that_hangs_is_given_up():
    assert doctor.probe("import threading; threading.Event().wait()", timeout=0.2)["problem"] == "no answer within 0 s"


def test_libraries_that_the_system_lacks_are_named():
    assert doctor.probe(doctor.LIBRARIES, "libno-such-thing.so.7")["missing"] == ["libno-such-thing.so.7"]


def test_the_self_test_passes_on_the_cpu():
    pytest.importorskip("torch", reason="the core installs no torch")
    assert doctor.probe(doctor.SELF_TEST, "cpu", timeout=120)["passed"]


def test_the_command_names_this_python():
    assert sys.executable in doctor.install_torch(gpu=False)

"""The set-up script: what it asks of the system, and how it stops."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from lithoscope.doctor import QT_LIBRARIES

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def dev() -> ModuleType:
    """The script, as a module."""
    spec = importlib.util.spec_from_file_location("dev", ROOT / "dev.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_asks_for_the_libraries_that_the_doctor_knows(dev):
    assert dev.WINDOW_LIBRARIES == QT_LIBRARIES


def test_the_tools_are_pinned(dev):
    assert [pin.partition("==")[0] for pin in dev.tool_versions()] == list(dev.TOOL_PACKAGES)


def test_settings_of_pip_become_settings_of_uv(dev):
    listed = "\n".join(
        [
            ":env:.cert='/etc/company.pem'",
            ":env:.default-timeout='60'",
            "global.find-links='/wheels\\n/more'",
            "global.index-url='https://packages.example/simple'",
        ]
    )
    assert dev.in_uvs_words(listed) == {
        "SSL_CERT_FILE": "/etc/company.pem",
        "UV_DEFAULT_INDEX": "https://packages.example/simple",
        "UV_FIND_LINKS": "/wheels,/more",
    }


def test_without_root_it_says_what_to_run_and_stops(dev, monkeypatch, capsys):
    monkeypatch.setattr(dev, "ON_LINUX", True)
    monkeypatch.setattr(dev, "missing_packages", lambda **_: ["libgl1", "xvfb"])
    monkeypatch.setattr(dev, "may_install", lambda: False)
    monkeypatch.setattr(dev.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(dev, "tox", lambda *_: pytest.fail("nothing slow may start"))
    with pytest.raises(SystemExit, match="2"):
        dev.main(["test"])
    assert "apt-get install --yes --no-install-recommends libgl1 xvfb" in capsys.readouterr().err


def test_a_system_of_another_family_is_told_the_packages(dev, monkeypatch, capsys):
    monkeypatch.setattr(dev, "ON_LINUX", True)
    monkeypatch.setattr(dev, "missing_packages", lambda **_: ["libgl1"])
    monkeypatch.setattr(dev.shutil, "which", lambda name: None)
    with pytest.raises(SystemExit, match="2"):
        dev.main(["demo"])
    assert "libgl1" in capsys.readouterr().err


def test_the_demo_without_a_display_asks_for_no_window(dev, monkeypatch):
    monkeypatch.setattr(dev, "ON_LINUX", True)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(dev, "prepare_system", lambda **asked: asked["window"] and pytest.fail("libraries of windows were asked for"))
    ran = []
    monkeypatch.setattr(dev, "tox", lambda environments, rest: ran.append(environments) or 0)
    assert dev.main(["demo"]) == 0
    assert ran == [["demo-headless"]]


def test_an_unknown_environment_is_refused(dev, capsys):
    assert dev.main(["test", "cores"]) == 2
    assert "lint, core, networks, widgets, viewer" in capsys.readouterr().err


def test_reports_are_added_up_to_one_line(dev, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(dev, "ROOT", tmp_path)
    for name, counts in {
        "core": 'tests="9" failures="1" errors="1" skipped="2"',
        "viewer": 'tests="3" failures="0" errors="0" skipped="0"',
    }.items():
        report = dev.report_of(name)
        report.parent.mkdir(parents=True)
        report.write_text(f"<testsuites><testsuite {counts}/></testsuites>")
    dev.summarise(["lint", "core", "viewer"])
    assert capsys.readouterr().out == "8 passed, 2 failed, 2 skipped\n"

"""The documentation says what the code does: tables and reference are up to date, links lead somewhere, commands exist."""

import importlib.util
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = sorted(DOCS.rglob("*.md"))


@pytest.fixture(scope="module")
def generate():
    spec = importlib.util.spec_from_file_location("generate_docs", DOCS / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_comes_from_the_code_is_up_to_date(generate):
    stale = [page.name for page, text in generate.pages().items() if page.read_text(encoding="utf-8") != text]
    assert stale == [], "run: python docs/generate.py"


def test_every_method_and_filter_has_its_settings_on_a_page():
    from lithoscope import filtering, segmenters

    said = {name for page in PAGES for name in re.findall(r"<!-- settings: (\S+) -->", page.read_text(encoding="utf-8"))}
    assert said == set(segmenters.REGISTRY) | {f"filter:{name}" for name in filtering.REGISTRY}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_to_pages_that_are_there(page):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_pictures_are_shown_somewhere_and_small():
    shown = {target for page in PAGES for target in re.findall(r"!\[[^]]+\]\(images/([^)]+)\)", page.read_text(encoding="utf-8"))}
    files = list((DOCS / "images").glob("*"))
    assert {file.name for file in files} == shown
    assert all(file.stat().st_size < 300_000 for file in files)


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "command-line.md"], ids=lambda page: page.stem)
def test_commands_and_options_that_are_shown_exist(page):
    reference = (DOCS / "command-line.md").read_text(encoding="utf-8")
    sections = {m[1]: m[2] for m in re.finditer(r"^##+ lithoscope ([a-z -]+)\n(.*?)(?=^##+ lithoscope |\Z)", reference, re.M | re.S)}
    for line in re.findall(r"^    lithoscope (.+)$", page.read_text(encoding="utf-8"), re.M):
        words = line.split()
        command = " ".join(words[:2]) if words[0] in ("labels", "images", "library", "similarity") else words[0]
        assert command in sections, line
        for option in re.findall(r"--[a-z-]+", line):
            assert option in sections[command], line

"""A fitted segmenter as a folder: `model.json` for what people read, `model.safetensors` for arrays. No pickle."""

import json
import shutil
from pathlib import Path
from typing import Any

from lithoscope.classes import ClassTable
from lithoscope.errors import InputError, MissingError, NewerSchemaError, StorageError, TakenError, UnreadableError
from lithoscope.parameters import configured, settings
from lithoscope.record import versions
from lithoscope.segmenters.base import Segmenter, segmenter

SCHEMA = 1
"""The version of the folder's layout that this code writes."""


def save(method: Segmenter, folder: Path, *, overwrite: bool = False) -> Path:
    """Write a fitted segmenter to `folder`, whole or not at all."""
    from safetensors.numpy import save_file

    if folder.exists() and not overwrite:
        raise TakenError(f"{folder} exists already; give another name, or --overwrite")
    if folder.exists() and not (folder / "model.json").is_file() and any(folder.iterdir() if folder.is_dir() else [folder]):
        raise TakenError(f"{folder} exists and is not a model; it is not overwritten, give another name")
    about = {
        "schema": SCHEMA,
        "name": method.name,
        "parameters": settings(method),
        "classes": method.classes_.to_json(),
        "learnt": method.learnt(),
        "versions": versions(),
    }
    arrays = {key: value.copy(order="C") for key, value in method.state().items()}
    partial = folder.with_name(f"{folder.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        (partial / "model.json").write_text(json.dumps(about, indent=2), encoding="utf-8")
        save_file(arrays, partial / "model.safetensors")
        shutil.rmtree(folder, ignore_errors=True)
        partial.replace(folder)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise StorageError(f"the model could not be written to {folder}: {error.strerror or error}") from error
    return folder


def load(folder: Path) -> Segmenter:
    """The fitted segmenter that `save` wrote to `folder`."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    about = description(folder)
    try:
        method = configured(segmenter(about["name"]), about["parameters"])
        return method.restore(load_file(folder / "model.safetensors"), ClassTable.from_json(about["classes"]))
    except (KeyError, TypeError, OSError, SafetensorError) as error:
        raise UnreadableError(f"the model in {folder} is damaged ({error}); train it again") from error


def description(folder: Path) -> dict[str, Any]:
    """What `model.json` says, checked to be of a layout that this version reads."""
    file = folder / "model.json"
    if not file.is_file():
        raise MissingError(f"there is no model in {folder}; a model is a folder with model.json in it")
    try:
        about = json.loads(file.read_text(encoding="utf-8"))
        schema = int(about["schema"])
    except (ValueError, KeyError, TypeError) as error:
        raise UnreadableError(f"{file} is damaged ({error}); train the model again") from error
    if schema > SCHEMA:
        raise NewerSchemaError(f"the model in {folder} is of schema {schema}, this Lithoscope reads up to {SCHEMA}; update it")
    if not isinstance(about.get("parameters"), dict):
        raise InputError(f"{file} names no parameters; train the model again")
    found: dict[str, Any] = about
    return found

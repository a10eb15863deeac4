"""The commands themselves: plain arguments in, one JSON object out. The command line, the worker process behind the docks
and scripts all run these functions; none of them prints. A group of commands is a file."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from lithoscope.errors import MissingError

COMMANDS = {
    "import": "scans:import_",
    "info": "scans:info",
    "set": "scans:set_",
    "bundle": "scans:bundle",
    "sample": "scans:sample",
    "filter": "images:filter_",
    "filters": "images:filters",
    "images_list": "images:images_list",
    "images_delete": "images:images_delete",
    "segment": "segmenting:segment",
    "train": "learning:train",
    "estimate": "segmenting:estimate",
    "repeat": "segmenting:repeat",
    "methods": "segmenting:methods",
    "labels_import": "results:labels_import",
    "labels_list": "results:labels_list",
    "labels_classes": "results:labels_classes",
    "labels_rename": "results:labels_rename",
    "labels_delete": "results:labels_delete",
    "export": "results:export",
    "measure": "results:measure",
    "compare": "judging:compare",
    "report": "judging:report",
    "spotcheck": "judging:spotcheck",
    "backbones": "backbones:backbones",
    "pretrain": "pretraining:pretrain",
    "evaluate_backbone": "backbones:evaluate_backbone",
    "clean": "cleaning:clean",
    "separate": "cleaning:separate",
    "explain": "explaining:explain",
    "evaluate_retrieval": "retrieval:evaluate_retrieval",
    "library_add": "retrieval:library_add",
    "library_remove": "retrieval:library_remove",
    "library_embed": "retrieval:library_embed",
    "library_index": "retrieval:library_index",
    "library_list": "retrieval:library_list",
    "library_export": "retrieval:library_export",
    "search": "retrieval:search",
    "similarity_train": "similarity:similarity_train",
    "similarity_review": "similarity:similarity_review",
    "similarity_evaluate": "similarity:similarity_evaluate",
    "similarity_apply": "similarity:similarity_apply",
    "doctor": "machine:doctor",
}
"""Where each command is, by the name that the worker process knows it by; a file is imported when one of its commands is asked for."""


def command(name: str) -> Callable[..., dict[str, Any]]:
    """The command of this name."""
    if name not in COMMANDS:
        raise MissingError(f"there is no command {name!r}; the commands are {', '.join(COMMANDS)}")
    module, function = COMMANDS[name].split(":")
    found: Callable[..., dict[str, Any]] = getattr(import_module(f"{__name__}.{module}"), function)
    return found

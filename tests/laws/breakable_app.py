"""The application of a service as it is, in a process that can be struck at the named points of a turn."""

from __future__ import annotations

from importlib import import_module
from os import environ
from pathlib import Path

from tests.laws.failpoints import VARIABLE, Failpoint, install

__all__ = ["app"]

install(Failpoint(Path(environ[VARIABLE])))

app = import_module(f"services.{environ['HOUFU_SERVICE']}.app").app

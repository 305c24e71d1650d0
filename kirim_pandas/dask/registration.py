"""Gives frames of Dask and polars the attribute ``kirim``, without importing either.

They look for no plug-ins when they are imported, so whoever comes second does the work: where
``dask.dataframe`` is there already, the accessor is registered at once; where it is not, a finder
waits in ``sys.meta_path`` for its import, registers the accessor after it, and takes itself away.
Of polars the accessor only says what to write instead, as it does of a Dask that is too old.
A finder that only watches changes nothing of what is imported: the module is found and loaded by
those who would have done so without it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


def register() -> None:
    """Give frames of other libraries the attribute ``kirim``, now or once these are imported."""
    sys.meta_path[:] = [one for one in sys.meta_path if not is_ours(one)]
    for name, register_now in (("dask.dataframe", _dask), ("polars", _polars)):
        if hasattr(sys.modules.get(name), "DataFrame"):  # else it is being imported just now
            register_now()
        else:
            sys.meta_path.insert(0, _Watch(name, register_now))


def is_ours(finder: object) -> bool:
    """Whether a finder is ours, also one of an earlier import of this package."""
    return getattr(type(finder), "__module__", None) == __name__


def _polars() -> None:
    """Use the own way of polars to register an accessor."""
    from kirim_pandas.dask.unlabeled import Polars

    own = import_module("polars.api")
    polars = import_module("polars")
    for kind in ("DataFrame", "LazyFrame", "Series"):
        if not hasattr(getattr(polars, kind), "kirim"):  # it warns of a second time
            getattr(own, f"register_{kind.lower()}_namespace")("kirim")(Polars)


def _dask() -> None:
    """Use Dask's own way to register an accessor."""
    import dask
    import dask.dataframe as dd

    from kirim_pandas.dask.unlabeled import OldDask, is_too_old

    if is_too_old(dask.__version__):
        for frame in (dd.DataFrame, dd.Series):
            frame.kirim = property(lambda _: OldDask(dask.__version__))
        return
    from dask.dataframe import extensions

    from kirim_pandas.dask.accessor import KirimDaskAccessor, KirimDaskFrameAccessor

    for kind, registered_as, accessor in (
        (dd.DataFrame, extensions.register_dataframe_accessor, KirimDaskFrameAccessor),
        (dd.Series, extensions.register_series_accessor, KirimDaskAccessor),
    ):
        here = getattr(kind, "kirim", None)
        if getattr(here, "__module__", None) == accessor.__module__:
            delattr(kind, "kirim")  # ours, of an earlier import: Dask warns of strangers only
        registered_as("kirim")(accessor)


class _Watch(MetaPathFinder):
    """Finds nothing itself; sees to it that the accessor is registered after the import."""

    def __init__(self, watched: str, register_now: Callable[[], None]) -> None:
        self.watched = watched
        self._register_now = register_now

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Let the others find the module, and follow its loading."""
        if name != self.watched:
            return None
        others = (one for one in sys.meta_path if one is not self)
        found = (one.find_spec(name, path, target) for one in others)
        spec = next((spec for spec in found if spec is not None), None)
        if spec is not None and spec.loader is not None:
            spec.loader = _Followed(spec.loader, self)
        return spec

    def done(self) -> None:
        """Register the accessor, and watch no more."""
        sys.meta_path[:] = [one for one in sys.meta_path if one is not self]
        self._register_now()


class _Followed(Loader):
    """Another loader, and the accessor after it."""

    def __init__(self, loader: Loader, watch: _Watch) -> None:
        self._loader = loader
        self._watch = watch

    def __getattr__(self, name: str) -> Any:
        """Be the other loader in all else: source for tracebacks, resources, data."""
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Make the module as the other does."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Load the module, put its own loader back in its place, register the accessor."""
        self._loader.exec_module(module)
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._watch.done()

"""Frames without the verbs: what their ``kirim`` says instead."""

from __future__ import annotations

from typing import Any

from kirim_pandas.errors import ConfigurationError, InvalidInputError, KirimError

LEAST_DASK = (2025, 5)
"""The lowest version of Dask that the extra takes."""


class _Unlabeled:
    """Takes the place of the verbs; each of them is refused with the same words."""

    def __init__(self, refusal: KirimError) -> None:
        self._refusal = refusal

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # looked at by help and notebooks
            raise AttributeError(name)
        raise self._refusal


class Polars(_Unlabeled):
    """``kirim`` of a DataFrame, LazyFrame or Series of polars."""

    def __init__(self, frame: Any) -> None:
        lazily = ".collect()" if hasattr(frame, "collect") else ""
        super().__init__(
            InvalidInputError(
                "Kirim's verbs take frames of pandas and Dask, and this one is of polars. "
                f"Write frame{lazily}.to_pandas().kirim instead of frame.kirim; it needs pyarrow."
            )
        )


class OldDask(_Unlabeled):
    """``kirim`` of a DataFrame or Series of a Dask that is too old."""

    def __init__(self, version: str) -> None:
        super().__init__(
            ConfigurationError(
                f"Dask {version} is too old for Kirim's verbs. "
                "Write: pip install --upgrade 'kirim-pandas[dask]'"
            )
        )


def is_too_old(version: str) -> bool:
    """Whether a version of Dask such as ``"2024.12.1"`` is below what the extra takes."""
    year, month = version.split(".")[:2]
    return (int(year), int(month)) < LEAST_DASK

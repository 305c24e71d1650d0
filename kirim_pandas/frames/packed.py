"""Contact ids in little room: thirty bytes each, where a Python text takes ninety.

Ids become texts where somebody looks at them: in a call, in a message, in a result.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, Self, TypeAlias, overload

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kirim_pandas.frames.shapes import ID_CHARACTERS, ID_LENGTH

Words: TypeAlias = NDArray[np.bytes_]
"""Ids as bytes, ``S30``."""

_CHUNK: Final = 1 << 14
"""Ids that are worked on together: half a megabyte, which the processor keeps at hand."""

_PARTS: Final = ("first", "second", "third", "last")
_WORD: Final = np.dtype(
    {
        "names": ["prefix", *_PARTS],
        "formats": ["<u4", "<u8", "<u8", "<u8", "<u8"],
        "offsets": [0, 4, 12, 20, 22],  # the last two have six characters in common
        "itemsize": ID_LENGTH,
    }
)
"""An id as five numbers, so that its characters are looked at eight at a time."""

_PREFIX: Final = int.from_bytes(b"ctc_", "little")
_IS_OTHER: Final = bytes(chr(code) not in ID_CHARACTERS for code in range(256))
"""For each byte a one where it may not stand behind the prefix."""

_FACTORS: Final = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x27D4EB2F165667C5)
"""Odd numbers whose bits are in no order, as hash functions use them."""


class PackedIds(Sequence[str]):
    """Contact ids that are read like a sequence of texts and chosen from like an array.

    Parameters
    ----------
    words : ndarray of S30
        The ids; not copied.
    """

    def __init__(self, words: Words) -> None:
        self.words = words

    @classmethod
    def of(cls, ids: Iterable[str]) -> Self:
        """Pack ids, unless they are packed."""
        if isinstance(ids, cls):
            return ids
        return cls(np.array(list(ids), dtype=f"S{ID_LENGTH}"))

    def __len__(self) -> int:
        return len(self.words)

    @overload
    def __getitem__(self, which: int | np.integer[Any]) -> str: ...
    @overload
    def __getitem__(self, which: slice | NDArray[Any]) -> Self: ...
    def __getitem__(self, which: Any) -> str | Self:
        """Return one id as a text, or some ids."""
        found = self.words[which]
        return type(self)(found) if isinstance(found, np.ndarray) else found.decode("ascii")

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), _CHUNK):
            text = self.words[start : start + _CHUNK].tobytes().decode("ascii")
            yield from (text[at : at + ID_LENGTH] for at in range(0, len(text), ID_LENGTH))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[np.object_]:
        """Give texts, for NumPy and pandas."""
        texts = np.empty(len(self), dtype=object)
        texts[:] = self.tolist()
        return texts

    def tolist(self) -> list[str]:
        """Give texts."""
        return list(self)

    def ranks(self) -> NDArray[np.int32]:
        """Give the rank of each by its first eight characters.

        In an id that begins with the time when it was made these tell that time.
        """
        first = np.dtype(
            {"names": ["first"], "formats": [">u8"], "offsets": [4], "itemsize": ID_LENGTH}
        )
        made = self.words.view(first)["first"].astype(np.uint64)
        return np.unique(made, return_inverse=True)[1].astype(np.int32).reshape(-1)

    def of_rows(self, position: NDArray[np.integer[Any]]) -> Any:
        """Give the id of each row.

        Parameters
        ----------
        position
            Where the row's id stands; negative for a row without one.

        Returns
        -------
        string array
            NA where there is none.
        """
        if pd.StringDtype().storage == "python":
            rows = pd.array(self.tolist(), dtype="string")
            return rows.take(np.maximum(position, -1), allow_fill=True)
        import pyarrow as pa

        has = position >= 0
        ends = np.zeros(len(position) + 1, dtype=np.int64)
        np.cumsum(has, out=ends[1:])
        ends *= ID_LENGTH
        there = np.packbits(has, bitorder="little")
        texts = self.words[position if has.all() else position[has]]
        array = pa.LargeStringArray.from_buffers(
            len(position), pa.py_buffer(ends), pa.py_buffer(texts), pa.py_buffer(there)
        )
        return pd.arrays.ArrowStringArray(pa.chunked_array([array]))


def are_ids(words: Words) -> NDArray[np.bool_]:
    """Tell which words of the length of a contact id are one."""
    good = np.empty(len(words), dtype=np.bool_)
    for start in range(0, len(words), _CHUNK):
        part = words[start : start + _CHUNK].tobytes()
        prefix = np.frombuffer(part, _WORD)["prefix"]
        others = np.frombuffer(part.translate(_IS_OTHER), _WORD)
        found = np.bitwise_or.reduce([others[name] for name in _PARTS])
        good[start : start + _CHUNK] = (prefix == _PREFIX) & (found == 0)
    return good


def numbered(words: Words) -> tuple[NDArray[np.int32], Words]:
    """Number ids by first appearance.

    Parameters
    ----------
    words
        Ids, each any number of times.

    Returns
    -------
    codes : ndarray of int32, shape of `words`
        Into `different`.
    different : ndarray of S30
        Each id once.
    """
    keys = _hashes(words)
    order = np.argsort(keys)
    begins = _begins(keys, order)
    if begins.all():
        return np.arange(len(words), dtype=np.int32), words
    if _has_clash(words, order, begins):
        keys = pd.factorize(words.astype(object))[0].astype(np.uint64)
        order = np.argsort(keys)
        begins = _begins(keys, order)
    del keys
    first = np.minimum.reduceat(order, np.flatnonzero(begins))
    turn = np.argsort(first)
    place = np.empty(len(first), dtype=np.int32)
    place[turn] = np.arange(len(first), dtype=np.int32)
    codes = np.empty(len(words), dtype=np.int32)
    codes[order] = place[np.cumsum(begins, dtype=np.int32) - 1]
    return codes, words[first[turn]]


def _begins(keys: NDArray[np.uint64], order: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Tell where in the order of keys another one begins."""
    begins = np.ones(len(keys), dtype=np.bool_)
    ordered = keys[order]
    begins[1:] = ordered[1:] != ordered[:-1]
    return begins


def _has_clash(words: Words, order: NDArray[np.intp], begins: NDArray[np.bool_]) -> bool:
    """Tell whether two words that differ have the same key."""
    twins = np.flatnonzero(~begins)
    parts = (twins[start : start + _CHUNK] for start in range(0, len(twins), _CHUNK))
    return any((words[order[part]] != words[order[part - 1]]).any() for part in parts)


def _hashes(words: Words) -> NDArray[np.uint64]:
    """Make a number of each word that others hardly ever have."""
    keys = np.zeros(len(words), dtype=np.uint64)
    for start in range(0, len(words), _CHUNK):
        key = keys[start : start + _CHUNK]
        for name, factor in zip(_PARTS, _FACTORS, strict=True):
            key += words[start : start + _CHUNK].view(_WORD)[name]
            key *= np.uint64(factor)
            key ^= key >> np.uint64(32)
    return keys

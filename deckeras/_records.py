"""Load and check the record of a run, `run.json`. Anybody may have written it, so it is checked before use."""

from __future__ import annotations

import json
from typing import Any

from deckeras._train.whole_files import whole_file

_NUMBER = (int, float)
_SCORES = {"acc": _NUMBER, "nmi": _NUMBER, "ari": _NUMBER}
# A pattern is a type, None, a set of allowed texts, a tuple of alternative patterns, a list with the pattern of all
# items, or a dict with a pattern for each entry. The key `str` in a dict stands for all entries.
LAYOUT = {
    "kind": {"table", "array", "images"},
    "key": (str, None),
    "columns": [str],
    "categories": {str: [str]},
    "text": (str, None),
    "terms": ({str: _NUMBER}, None),
    "medians": ({str: _NUMBER}, None),
    "spare_medians": ({str: _NUMBER}, None),
    "drop_missing": bool,
    "names": (str, None),
    "na": [str],
    "sep": (str, None),
    "skip": (int, None),
    "comment": (str, None),
    "decimal": (str, None),
    "thousands": (str, None),
    "encoding": (str, None),
    "header": bool,
    "affixes": {str: str},
    "image_shape": ([int], None),
    "white": (int, None),
    "row_shape": ([int], None),
    "features": ([str], None),
    "n_columns": (int, None),
    "zero_based": (bool, None),
}
NEEDED = {
    "data": str,
    "layout": LAYOUT,
    "labels": (str, None),
    "folder_labels": bool,
    "facts": {str: str},
    "history": {str: [_NUMBER]},
}
OPTIONAL = {
    "title": str,
    "command": str,
    "rows": {"n_rows": int, "checksum": str},
    "settings": dict,
    "notices": [str],
    "warnings": [str],
    "versions": {str: str},
    "sizes": [int],
    "scores": (_SCORES, None),
    "seconds": _NUMBER,
    "kmeans": {"rows": int, "differ": int, "sizes": [int], "scores": (_SCORES, None)},
    "verdict": {"sentences": [str]},
}


def load(path: str) -> dict[str, Any]:
    """Return the dict of a run.json.

    Raises:
        OSError: the file cannot be read, or is damaged.
    """
    try:
        with open(path, encoding="utf-8") as file:
            return dict(json.load(file))
    except (ValueError, TypeError, RecursionError) as error:
        raise _damaged(path, error) from error


def check(path: str, run: dict[str, Any]) -> None:
    """Check the entries of the record of a finished run.

    Args:
        path: str, the file, for the error message.
        run: dict.

    Raises:
        OSError: an entry is missing or of another type; the message names it.
    """
    for name, pattern in (NEEDED | OPTIONAL).items():
        if name not in run:
            if name in NEEDED:
                raise _damaged(path, f"it has no entry {name!r}")
        elif not _fits(run[name], pattern):
            raise _damaged(path, f"its entry {name!r} is {run[name]!r:.100}")
    if set(run["layout"]) - set(LAYOUT):
        raise _damaged(path, f"its layout has the entries {sorted(set(run['layout']) - set(LAYOUT))!r:.100}")
    lengths = {len(values) for values in run["history"].values()}
    if len(lengths) > 1 or ("loss" in run["history"]) != ("changed" in run["history"]):
        raise _damaged(path, "its history is not complete")
    if not isinstance(run.get("settings", {}).get("method", ""), str):
        raise _damaged(path, "its method is not a string")


def write(path: str, run: dict[str, Any]) -> None:
    """Write a run.json. The values may contain NumPy numbers and arrays."""
    with whole_file(path) as draft, open(draft, "w", encoding="utf-8") as file:
        json.dump(run, file, indent=2, default=plain)


def plain(value: Any) -> Any:
    """Return a NumPy number or array as plain Python numbers, and anything else as text."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _fits(value: Any, pattern: Any) -> bool:
    match pattern:
        case None:
            return value is None
        case set():
            return isinstance(value, str) and value in pattern
        case tuple():
            return any(_fits(value, each) for each in pattern)
        case list():
            return isinstance(value, list) and all(_fits(item, pattern[0]) for item in value)
        case dict():
            if not isinstance(value, dict):
                return False
            if str in pattern:
                return all(_fits(item, pattern[str]) for item in value.values())
            return all(_fits(value.get(name), each) for name, each in pattern.items())
    return isinstance(value, pattern)


def compare(folder: str, found: dict[str, Any], run: dict[str, Any]) -> None:
    """Check that the record of a run is that of the run that is asked for.

    Args:
        folder: str, where the record is.
        found: dict, the record. Earlier versions describe less.
        run: JSON-able dict. "data", "settings", "rows" (`deckeras.files.Rows.content`) and "layout" are compared.

    Raises:
        ValueError: they differ.
    """
    for name in "data", "settings", "rows", "layout":
        before, now = found.get(name), json.loads(json.dumps(run.get(name)))
        if isinstance(before, dict) and isinstance(now, dict) and name == "layout":
            now = {entry: value for entry, value in now.items() if entry in before}
        if before == now or (before is None and name == "rows"):
            continue
        if name == "rows" and before is not None and _fits(before, OPTIONAL["rows"]):
            raise ValueError(
                f"{folder!r} holds a run of other rows. It had {before['n_rows']:,} with other names, values or order. "
                f"Received: {now['n_rows']:,} rows of {run['data']!r}. Restore the data and read them with the same "
                "options, or choose another --output."
            )
        raise ValueError(
            f"{folder!r} holds another run, with {name} {before!s:.1000}. Received: {now!s:.1000}. Choose another "
            "--output."
        )


def _damaged(path: str, reason: str | Exception) -> OSError:
    return OSError(f"{path!r} is truncated, damaged or not the record of a run ({reason}). Restore a copy.")

"""What dead letters are grouped by."""

from __future__ import annotations


def cause(error: BaseException) -> str:
    """An error as what dead letters are grouped by: its kind and its place in the code, and its words where they are our own (those
    of a library may quote the mail).
    """
    trace = error.__traceback__
    place = ""
    while trace is not None:
        name = trace.tb_frame.f_globals.get("__name__", "")
        if name.startswith("mailloom") or not place:
            place = f"{name}.{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}"
        trace = trace.tb_next
    ours = type(error).__module__.partition(".")[0] == "mailloom"
    words = f": {error}" if ours else ""
    return f"{type(error).__name__} at {place}{words}"[:500]

"""JSON lines for machines: what happened, to which mail (its source and path, or its message id), never what the mail says.

Fields that hold text or people are dropped by name, values that are no plain ones are given by their type, and of an error only our own
words are told: a library's message may quote the mail that it failed on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, TextIO

from mailloom.ports.errors import UserError

if TYPE_CHECKING:
    import logging

TEXTS = frozenset(
    (
        "subject",
        "base_subject",
        "text",
        "body",
        "raw",
        "html",
        "snippet",
        "words",
        "new",
        "old",
        "names",
        "quote",
        "quoted",
        "data",
        "content",
        "record",
        "row",
        "sealed",
        "reply_text",
        "reply_full",
        "from",
        "from_",
        "to",
        "cc",
        "bcc",
        "sender",
        "recipients",
        "people",
        "address",
        "addresses",
        "name",
        "author",
        "reply_to",
        "filename",
        "attachment",
        "attachments",
        "in_reply_to",
        "references",
        "headers",
        "header",
        "preview",
        "excerpt",
    )
)
LONGEST = 500  # characters of a value: an address of an object is shorter, a text that got in by mistake is cut
MOST = 20  # members of a list
FRAMES = 8  # of a traceback, the innermost

_logger: Any = None
_handler: logging.Handler | None = None


def info(event: str, **fields: object) -> None:
    """What went as it should, once a batch at most."""
    if _logger is not None:
        _say(_logger.info, event, fields)


def warning(event: str, **fields: object) -> None:
    """What somebody may want to look at, and that mends itself."""
    if _logger is not None:
        _say(_logger.warning, event, fields)


def error(event: str, error: BaseException | None = None, **fields: object) -> None:
    """What somebody must look at; `error` is told by its type and its place in the code, and by its words if they are ours."""
    if _logger is not None:
        _say(_logger.error, event, {**(described(error) if error is not None else {}), **fields})


def _say(tell: Callable[..., object], event: str, fields: Mapping[str, object]) -> None:
    """A line that can't be written, as the disk is full or nobody reads any more, is lost: mail goes on without it."""
    with suppress(OSError, ValueError):
        tell(event, **fields)


# ------------------------------------------------------------------------------------------------ what is told of a thing
def described(error: BaseException) -> dict[str, object]:
    """An error as fields: type, place, the innermost frames, the types behind it; its words only if Mailloom wrote them."""
    frames = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append(f"{code.co_filename.rpartition('site-packages/')[2]}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    causes: list[str] = []
    cause = error.__cause__
    while cause is not None and len(causes) < MOST:
        causes.append(type(cause).__name__)
        cause = cause.__cause__
    ours = type(error).__module__.partition(".")[0] == "mailloom"
    return {
        "error": type(error).__name__,
        **({"why": str(error)} if ours else {}),
        **({"causes": causes} if causes else {}),
        "frames": frames[-FRAMES:],
    }


def clean(fields: Mapping[str, object]) -> dict[str, object]:
    """The fields that may be told, as plain values; the names of the others under `dropped`."""
    kept: dict[str, object] = {key: plain(value) for key, value in fields.items() if key not in TEXTS}
    if len(kept) < len(fields):
        kept["dropped"] = sorted(fields.keys() - kept.keys())
    return kept


def plain(value: object, depth: int = 2) -> object:
    """A value as JSON has it; 16 bytes are an id, other bytes are counted, and what is no plain value is told by its type."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return value if len(value) <= LONGEST else value[:LONGEST] + "..."
    if isinstance(value, bytes):
        return _id(value) if len(value) == 16 else f"<{len(value)} bytes>"
    if depth and isinstance(value, Mapping):
        return {str(k): plain(v, depth - 1) for k, v in islice(value.items(), MOST) if k not in TEXTS}
    if depth and type(value) in {list, tuple, set, frozenset} and isinstance(value, list | tuple | set | frozenset):
        return [plain(one, depth - 1) for one in islice(value, MOST)]
    return f"<{type(value).__name__}>"


def _id(value: bytes) -> str:
    from uuid import UUID

    return str(UUID(bytes=value))


# ------------------------------------------------------------------------------------------------ on and off
def configure(level: str, err: TextIO) -> None:
    """Write JSON lines to `err` from this level on ("", "off": none); warnings of libraries too. Raises UserError without structlog."""
    global _logger, _handler  # noqa: PLW0603
    off()
    if level in {"", "off"}:
        return
    from logging import WARNING, Handler, getLogger

    try:
        import structlog
    except ModuleNotFoundError:
        raise UserError('structlog is needed for logs and not installed: pip install "mailloom[aws]"') from None
    _logger = structlog.wrap_logger(
        structlog.WriteLogger(err),
        processors=[structlog.contextvars.merge_contextvars, _clean, _rendered],
        wrapper_class=structlog.make_filtering_bound_logger(level),
    )
    _handler = Handler(WARNING)
    _handler.emit = _library  # type: ignore[method-assign]
    getLogger().addHandler(_handler)


def off() -> None:
    """Say nothing any more."""
    global _logger, _handler  # noqa: PLW0603
    if _handler is not None:
        from logging import getLogger

        getLogger().removeHandler(_handler)
    _logger = _handler = None


def _library(record: logging.LogRecord) -> None:
    if _logger is not None:
        tell = _logger.error if record.levelno >= 40 else _logger.warning
        _say(tell, record.getMessage().partition("\n")[0], {"logger": record.name})


def _clean(_: Any, level: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    from datetime import UTC, datetime

    name = event.pop("event", "")
    return {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "level": level,
        "event": plain(str(name)),
        **_trace(),
        **clean(event),
    }


def _trace() -> dict[str, str]:
    """The ids of the present span, so that a line leads to its trace."""
    import sys

    if "opentelemetry.trace" not in sys.modules:
        return {}
    context = sys.modules["opentelemetry.trace"].get_current_span().get_span_context()
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"} if context.is_valid else {}


def _rendered(_: Any, __: str, event: MutableMapping[str, Any]) -> str:
    import orjson

    return orjson.dumps(dict(event), default=str, option=orjson.OPT_NON_STR_KEYS).decode("utf-8", "replace")

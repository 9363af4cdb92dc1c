"""What a Thread-Index says, the header of Outlook and Exchange ([MS-OXOMSG] 2.2.1.3): 1 reserved byte, 5 of a time, 16 of a GUID that
all mails of a conversation have; each answer adds 5 to what it answers. Links keep it in hex.
"""

from __future__ import annotations

from collections.abc import Iterator

HEAD, STEP = 22, 5  # bytes: of a mail that begins, and of each answer


def guid(index: bytes) -> bytes:
    """The 16 bytes that a conversation shares, b"" where it can't be a Thread-Index."""
    if len(index) >= HEAD and index[0] == 1 and any(index[6:HEAD]):
        return index[6:HEAD]
    return b""


def begins(index: bytes) -> bool:
    """Whether a mail with this one answers nobody."""
    return len(index) == HEAD


# ------------------------------------------------------------------------------------------------ in hex
def shared(value: str) -> str:
    """The GUID."""
    return value[2 * 6 : 2 * HEAD]


def level(value: str) -> int:
    """How many answers deep it is."""
    return max(0, len(value) - 2 * HEAD) // (2 * STEP)


def above(value: str) -> Iterator[str]:
    """Those of what it answers, of what that answered, and so on."""
    return (value[:end] for end in range(len(value) - 2 * STEP, 2 * HEAD - 1, -2 * STEP))

"""What a store or a step may raise, by what is to be done about it."""

from __future__ import annotations


class UserError(Exception):
    """Something about an input or an archive that its owner can mend: the message says what happened, to which, and what to do."""


class Fenced(Exception):
    """Another settle has taken the lease; nothing more may be written under this one."""


class Transient(UserError):
    """A store is slow, busy or away: the same call may succeed later."""


class Poison(Exception):
    """This input can't be worked on, now or later, by this version: put it aside with the reason."""

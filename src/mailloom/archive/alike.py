"""Near duplicates of a whole archive: each message beside the oldest one that it is like.

In the order of messages, each joins the most alike of the leaders before it that it may be like, or becomes one. So all of a group are as
alike to its leader as was asked, and the groups are a function of the set of mail. Whom a message is compared with is bounded, so
that a newsletter of 100,000 letters costs 100,000 comparisons, not their square: in each band, the leaders of the oldest message and of the one
before it.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterator
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from mailloom.archive.analyse import CHUNK
from mailloom.archive.reading import Archive
from mailloom.mail.model import MessageId
from mailloom.schema import load_record, unpack
from mailloom.thread.near import BANDS, alike, shingles, text_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers: TypeAlias = NDArray[np.int64]

AT_HAND = 4096
"""Messages whose shingles are in memory, a few KB each."""
MOST = 32
"""Leaders that a message is compared with, the oldest ones. Who meets more is of few words that everybody uses."""


class Messages(NamedTuple):
    """All messages that count, oldest first; a message is its place here. `order` sorts `seqs`."""

    ids: bytes
    seqs: Numbers
    sizes: Numbers
    order: Numbers

    def id(self, place: int) -> MessageId:
        return MessageId(self.ids[16 * place : 16 * place + 16])


def cluster(
    archive: Archive, without: Collection[MessageId], threshold: float
) -> Iterator[tuple[MessageId, list[tuple[MessageId, float]], int]]:
    """(oldest message, the others with their similarity to it, bytes of the others' raw mail) of each group."""
    messages = _messages(archive, without)
    if not archive.stores.records.sketches.kept or not len(messages.seqs):
        return
    same = _same(archive, messages)
    leader, share = _led(archive, messages, _pairs(archive, messages, same), threshold)
    # Who says exactly what another says goes where that one goes.
    follows = np.flatnonzero(same >= 0)
    ends = leader[same[follows]]
    shares = share[same[follows]]
    joined = np.flatnonzero(follows != ends)
    rows = sorted(zip(ends[joined].tolist(), follows[joined].tolist(), shares[joined].tolist(), strict=True))
    for first, members in groupby(rows, itemgetter(0)):
        others = [(place, likeness) for _, place, likeness in members]
        spare = int(messages.sizes[[place for place, _ in others]].sum())
        yield messages.id(first), [(messages.id(place), likeness) for place, likeness in others], spare


def _messages(archive: Archive, without: Collection[MessageId]) -> Messages:
    ids, numbers = bytearray(), array("q")
    rows = archive.connection.cursor().execute(
        "select id, seq, size from messages where scope = ? order by id", (archive.scope,)
    )
    for message, seq, size in rows:
        if message not in without:
            ids += message
            numbers.extend((seq, size))
    table = np.array(numbers).reshape(-1, 2)
    seqs = table[:, 0].copy()
    return Messages(bytes(ids), seqs, table[:, 1].copy(), np.argsort(seqs))


def _places(messages: Messages, seqs: bytes) -> Numbers:
    """The place of each message of a column of seqs, -1 for one that doesn't count."""
    wanted = np.frombuffer(seqs, "<u4").astype(np.int64)
    at = np.minimum(np.searchsorted(messages.seqs, wanted, sorter=messages.order), len(messages.seqs) - 1)
    place = messages.order[at]
    return np.where(messages.seqs[place] == wanted, place, -1)


def _same(archive: Archive, messages: Messages) -> Numbers:
    """For each message the oldest whose text is equal, which may be itself; -1 for one without a sketch."""
    keys = np.zeros(len(messages.seqs), np.uint64)
    known = np.zeros(len(messages.seqs), np.bool_)
    for block in archive.stores.records.sketches.blocks((0, 1)):
        place = _places(messages, block[0])
        keys[place[place >= 0]] = np.frombuffer(block[1], "<u8")[place >= 0]
        known[place[place >= 0]] = True
    there = np.flatnonzero(known)
    _, first, which = np.unique(keys[there], return_index=True, return_inverse=True)
    same = np.full(len(keys), -1, np.int64)
    same[there] = there[first][which]
    return same


def _pairs(archive: Archive, messages: Messages, same: Numbers) -> Numbers:
    """Whom to compare: (message, older message) as one number each, sorted, in 32 bits each."""
    pairs = np.zeros(0, np.int64)
    for band in range(BANDS):
        pairs = np.union1d(pairs, _met(*_band(archive, messages, same, band)))
    return pairs


def _band(archive: Archive, messages: Messages, same: Numbers, band: int) -> tuple[Numbers, Numbers]:
    """(place, hash of this band) of every message that is the oldest with its text."""
    places, hashes = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for block in archive.stores.records.sketches.blocks((0, 2 + band)):
        column = np.frombuffer(block[2 + band], "<u4").astype(np.int64)
        place = _places(messages, block[0])[: len(column)]
        counts = np.flatnonzero(place >= 0)
        counts = counts[same[place[counts]] == place[counts]]
        places.append(place[counts])
        hashes.append(column[counts])
    return np.concatenate(places), np.concatenate(hashes)


def _met(place: Numbers, value: Numbers) -> Numbers:
    """Each message of a bucket with its oldest and with the one before."""
    order = np.lexsort((place, value))
    place, value = place[order], value[order]
    begins = np.flatnonzero(np.concatenate(([True], value[1:] != value[:-1]))) if len(value) else order
    oldest = np.repeat(place[begins], np.diff(np.append(begins, len(value))))
    later = np.flatnonzero(place != oldest)
    return np.concatenate((place[later] << 32 | oldest[later], place[later] << 32 | place[later - 1]))


def _led(archive: Archive, messages: Messages, pairs: Numbers, threshold: float) -> tuple[Numbers, NDArray[np.float64]]:
    """The leader of each message, which may be itself, and how alike they are."""
    leader = np.arange(len(messages.seqs))
    share = np.ones(len(messages.seqs))
    body = archive.connection.cursor()

    @lru_cache(AT_HAND)
    def shingled(place: int) -> NDArray[np.uint32]:
        found = body.execute("select body from bodies where seq = ?", (int(messages.seqs[place]),)).get
        return shingles(text_of(load_record(unpack(found))).words if found else [])  # a lost one is for doctor to tell

    each = (pair for at in range(0, len(pairs), CHUNK) for pair in pairs[at : at + CHUNK].tolist())
    for message, some in groupby(each, lambda pair: pair >> 32):
        met = sorted({int(leader[pair & 0xFFFFFFFF]) for pair in some})[:MOST]
        mine = shingled(message)
        best, oldest = max((alike(mine, shingled(other)), -other) for other in met)
        if best >= threshold:
            leader[message], share[message] = -oldest, best
    return leader, share

"""Dirty messages -> decide -> conversations, through the store. The only one that parts; one at a time, by a lease.

A pass looks at the dirty messages, the askers whose clues they own, and whoever is linked to a hard key that flips. It
decides for these, gathers what hangs together with those for whom something changes, along links that live or ever lived, and
writes in this order: revived keys, rows of new soft links, unions, conv. It repeats until a pass writes nothing; then come the live flags, dead keys, and last the
marks. A crash between any two writes leaves the marks, and the next settle does the rest.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from mailloom.mail.model import MessageId
from mailloom.ports import ClueNote, FeedEntry, KeyItem, KeyNote, Node, NodeName, Soft, Stamp, Stated, Target, Threads
from mailloom.thread.assign import roots, union
from mailloom.thread.components import components
from mailloom.thread.decide import decide, is_asking
from mailloom.thread.editing import whom
from mailloom.thread.edits import JOIN, Choose, Hand, chosen
from mailloom.thread.keys import is_common, is_dead, message_node, nodes_of
from mailloom.thread.weave import keyed

BATCH = 4000
"""Marks that one settle takes: what they touch is held in memory, so the number bounds that, not what is right."""
PART = 128
"""Messages that are decided for at a time: what they ask for, with all who own that, is most of what a pass reads, and need not stay."""
OWNERS = 2000  # that stay from one part to the next: mails that come together mostly ask for the same ones
CLEAR = b""


@dataclass(slots=True)
class Settled:
    """What a settle did: messages looked at, soft links that live now, conversations whose id changed."""

    looked: int = 0
    drawn: int = 0
    changed: int = 0


def settle(
    threads: Threads,
    *,
    choose: Choose = decide,
    limit: int = BATCH,
    why: str = "",
    stopped: Callable[[], bool] = lambda: False,
) -> Settled:
    """Look at the marked messages, `limit` at a time, until none is left or it is stopped; the feed says `why`, where that is known. Raises
    Fenced where another settle takes over.
    """
    fenced = threads.lease()
    total = Settled()
    while not stopped():
        with fenced.session():
            marks = fenced.dirty(limit)
            if not marks:
                break
            one = _settle(fenced, marks, choose, why)
        total.looked += one.looked
        total.drawn += one.drawn
        total.changed += one.changed
    return total


@dataclass(slots=True)
class _Pass:
    """One pass: what it knows and what it decided. `dead_now` is what the keys' items say, `flips` where the node says other."""

    threads: Threads
    dirty: set[MessageId]
    choose: Choose
    before: dict[MessageId, MessageId]
    stated: dict[MessageId, Stated]
    seeds: set[MessageId]
    wrote: bool = False
    affected: set[MessageId] = field(default_factory=set)
    dead_now: dict[NodeName, bool] = field(default_factory=dict)
    flips: set[NodeName] = field(default_factory=set)
    decided: dict[MessageId, tuple[Target, ...]] = field(default_factory=dict)
    seen: dict[NodeName, Node] = field(default_factory=dict)
    rows: dict[MessageId, dict[MessageId, Soft]] = field(default_factory=lambda: defaultdict(dict))
    edges: list[tuple[NodeName, NodeName]] = field(default_factory=list)
    through_dead: list[tuple[NodeName, NodeName]] = field(default_factory=list)
    after: dict[MessageId, MessageId] = field(default_factory=dict)

    def run(self) -> None:
        self.affect()
        self.judge()
        self.gather()
        self.remember()
        self.revive()
        self.join()
        self.name()

    def learn(self, messages: Iterable[MessageId]) -> None:
        """Read what these state, and keep the links, and what the dirty own: asks and sketches are read where they are needed."""
        missing = {m for m in messages if m not in self.stated}
        for some in _parts(missing):
            for m, s in self.threads.stated(some).items():
                owns = s.owns if m in self.dirty else ()
                self.stated[m] = s._replace(owns=owns, asks=(), own=b"", quoted=b"")

    def affect(self) -> None:
        """Whose decision may have changed. Who came when a clue was common doesn't own it, and changes nothing for who asks for it."""
        self.learn(self.dirty)
        mine = [self.stated[m] for m in self.dirty if m in self.stated]
        owned = {clue for s in mine for clue in s.owns}
        clues = self.threads.clues(owned).items()
        asked = [clue for clue, item in clues if item.asked and not item.owners.isdisjoint(self.dirty)]
        self.affected = set(self.dirty)
        for askers in self.threads.asking(asked).values():
            self.affected.update(askers)
        names = {link.key for s in mine for link in keyed(s)}
        items, nodes = self.threads.keys(names), self.threads.nodes(names)
        self.dead_now = {key: is_dead(items.get(key, KeyItem())) for key in names}
        self.flips = {key for key in names if self.dead_now[key] != nodes[key].dead}
        reach = self.flips | {
            link.key for s in mine for link in keyed(s) if link.owns and items.get(link.key, KeyItem()).asked
        }
        for linked in self.threads.linked(reach).values():
            self.affected.update(linked)
        self.affected |= self.edited(mine)
        self.learn(self.affected)
        self.affected &= self.stated.keys()

    def edited(self, mine: Collection[Stated]) -> set[MessageId]:
        """Who may have to do with dirty messages because an edit says so. These are seeds: who was dirty when the edit came is, or a
        late one that it names a key of; who is linked by hand to a message that comes only now gets its link now.
        """
        hand = self.by_hand(mine)
        self.seeds.update(s.message for s in mine if hand.touches(s))
        own = [(s.message, place) for s in mine for place in hand.own(s.message)]
        others = {m for _, place in own if place.kind == JOIN for m in (place.message, place.target)}
        heads = {place.number for message, place in own if place.kind != JOIN and place.target == message}
        for edit in self.threads.edits() if heads else ():
            if edit.number in heads:
                others |= whom(self.threads, edit.inside)
        return others

    def by_hand(self, mine: Collection[Stated]) -> Hand:
        """What edits say of messages, and of those that the edits name for them."""
        places = set(self.threads.places(name for s in mine for name in nodes_of(s)))
        named = {place.target for place in places}
        self.learn(named)
        names = {name for m in named if m in self.stated for name in nodes_of(self.stated[m])}
        return Hand(places.union(self.threads.places(names)) if names else places)

    def judge(self) -> None:
        """Decide for each affected message, from its own items, some at a time."""
        owners: dict[MessageId, Stated] = {}
        for some in _parts(sorted(self.affected)):
            if len(owners) > OWNERS:
                owners.clear()
            self.decided.update(self.choices(list(self.threads.stated(some).values()), owners))

    def choices(self, mine: Sequence[Stated], owners: dict[MessageId, Stated]) -> dict[MessageId, tuple[Target, ...]]:
        """What these choose. Their asks are written first, so that nobody slips by between. `owners` are known, and become more."""
        items = dict(self.threads.keys({link.key for s in mine for link in keyed(s)}))
        askers = [s for s in mine if is_asking(s, items)]
        notes = [KeyNote(link.key, asked=True) for s in askers for link in keyed(s) if not link.owns]
        for note, (_, item) in zip(notes, self.threads.note(notes), strict=True):
            self.wrote |= item.owners != items.get(note.key, KeyItem()).owners
        self.threads.ask([(ask.clue, s.message) for s in askers for ask in s.asks])
        hints = [ClueNote(ask.clue, asked=True) for s in askers for ask in s.asks]
        clues = {h.clue: after for h, (_, after) in zip(hints, self.threads.hint(hints), strict=True)}
        wanted = {owner for item in clues.values() if not is_common(item) for owner in item.owners}
        for some in _parts(wanted - owners.keys()):
            owners.update((m, s._replace(asks=(), quoted=b"")) for m, s in self.threads.stated(some).items())
        hand = self.by_hand([*mine, *(owners[m] for m in wanted if m in owners)])
        known = {**self.stated, **owners} if hand else owners
        asking = {s.message for s in askers}
        rest = [s for s in mine if s.message not in asking]
        self.threads.ask([(ask.clue, s.message) for s in rest for ask in s.asks], withdraw=True)
        return {s.message: chosen(s, clues, known, hand, self.choose if s.message in asking else None) for s in mine}

    def seed(self) -> None:
        """From whom to gather: who has or gets a soft link, who is linked to a key that flips, and the dirty that hang on a node
        with conv or dead, or are not joined with what they state (it was dead when they came). For all others nothing changes:
        they asked only because their parent came later. A seed stays one in later passes: what it brought up may have changed.
        """
        rows = {row.source for row in self.threads.drawn(self.affected)}
        self.seeds.update(m for m in self.affected if m in rows or self.decided[m])
        for linked in self.threads.linked(self.flips).values():
            self.seeds.update(self.affected.intersection(linked))
        names = {m: nodes_of(self.stated[m]) for m in self.dirty - self.seeds if m in self.stated}
        every = {name for some in names.values() for name in some}
        odd = {name for name, node in self.threads.nodes(every).items() if node.conv is not None or node.dead}
        root = roots(self.threads, every)
        apart = {m for m, some in names.items() if len({root[name] for name in some}) > 1}
        self.seeds.update(m for m, some in names.items() if m in apart or not odd.isdisjoint(some))

    def gather(self) -> None:
        """All that hangs together with the seeds, closed under links that live or ever lived, both ways; but not through a
        key that was dead and stays so.
        """
        self.seed()
        frontier = {message_node(m) for m in self.seeds}
        while frontier:
            self.seen.update(self.threads.nodes(frontier))
            messages = [MessageId(name[1:]) for name in sorted(frontier) if name[0] == 0]
            keys = [name for name in frontier if name[0] == 1]
            reached: set[NodeName] = set()
            self.learn(messages)
            for row in self.threads.drawn(messages):
                self.rows[row.source][row.target] = row
                reached |= {message_node(row.source), message_node(row.target)}
            named = {link.key for m in messages for link in self.stated[m].links}
            nodes = {
                **self.threads.nodes(named - self.seen.keys()),
                **{k: self.seen[k] for k in named & self.seen.keys()},
            }
            hand = Hand(self.threads.places(name for m in messages for name in nodes_of(self.stated[m])))
            for message in messages:
                reached |= self.follow(message, nodes, hand)
            for linked in self.threads.linked(keys).values():
                self.learn(linked)
                reached |= {message_node(m) for m in linked if m in self.stated}
            frontier = reached - self.seen.keys()

    def follow(self, message: MessageId, nodes: Mapping[NodeName, Node], hand: Hand) -> set[NodeName]:
        """One message's links: those that live become edges. One that an edit walls off is followed, as it may have lived before."""
        node = message_node(message)
        reached: set[NodeName] = set()
        if message in self.decided:
            targets = [t.target for t in self.decided[message]]
        else:
            targets = [row.target for row in self.rows[message].values() if row.live]
        for target in targets:
            self.edges.append((node, message_node(target)))
            reached.add(message_node(target))
        walled = hand.walled(self.stated[message])
        for link in self.stated[message].links:
            was = nodes[link.key].dead
            now = self.dead_now.get(link.key, was)
            if now:
                self.through_dead.append((node, link.key))
            elif link.key not in walled:
                self.edges.append((node, link.key))
            if not (was and now):
                reached.add(link.key)
        return reached

    def remember(self) -> None:
        """Each gathered message's conversation before the first write: what the feed calls it by."""
        new = [name for name in self.seen if name[0] == 0 and MessageId(name[1:]) not in self.before]
        root = roots(self.threads, new)
        for name in new:
            self.before[MessageId(name[1:])] = MessageId((self.seen[name].conv or root[name])[1:])

    def revive(self) -> None:
        revived = [Stamp(key, dead=False) for key in sorted(self.flips) if not self.dead_now[key]]
        if revived:
            self.threads.stamp(revived)
            self.wrote = True

    def join(self) -> None:
        """Along every live link, whoever stated it: a worker that met a key while it was dead has not joined it. The row of a
        soft link comes first: a union without a row could never be walked back.
        """
        rows = []
        for a, b in self.edges:
            source, target = MessageId(a[1:]), MessageId(b[1:])
            if b[0] == 0 and target not in self.rows[source]:
                rows.append(Soft(source, target, live=False))
                self.rows[source][target] = rows[-1]
        if rows:
            self.threads.draw(rows)
            self.wrote = True
        if union(self.threads, self.edges):
            self.wrote = True

    def name(self) -> None:
        """conv: set where a pool holds more than one component or hangs on a dead key; else cleared, and the root names it.

        A union of many names that was cut short may have joined two components whose way to each other leads through a key that was
        not joined, and then died: nothing that is gathered leads from one to the other. The root of the pool tells of it, and so it is
        a seed from then on; and who states a dead key keeps its conv.
        """
        low = components([*self.edges, *((name, name) for name in self.seen)])
        members: dict[NodeName, list[NodeName]] = defaultdict(list)
        for node, least in low.items():
            members[least].append(node)
        root = roots(self.threads, {*members, *(key for _, key in self.through_dead)})
        shared = Counter(root[least] for least in members)
        hangs = {low[node] for node, key in self.through_dead if root[key] == root[low[node]]}
        torn = {low[node] for node, _ in self.through_dead}
        now = self.threads.nodes(low.keys())
        stamps = []
        for least, nodes in members.items():
            if least[0] == 1:
                # A key alone: whoever meets it must look, as long as it is about to die.
                if least in self.flips and self.dead_now[least] and now[least].conv is None:
                    stamps.append(Stamp(least, conv=least))
                continue
            keeps = least in torn and any(now[node].conv is not None for node in nodes)
            if root[least] != least and root[least] not in self.seen:
                self.seeds.add(MessageId(root[least][1:]))
                self.wrote = True
            needs = shared[root[least]] > 1 or least in hangs or root[least] != least
            want = least if needs or keeps else None
            stamps += [Stamp(node, conv=want or CLEAR) for node in nodes if now[node].conv != want]
            self.after.update(
                (MessageId(node[1:]), MessageId((want or root[least])[1:])) for node in nodes if node[0] == 0
            )
        if stamps:
            self.threads.stamp(self.ordered(stamps))
            self.wrote = True

    def ordered(self, stamps: Iterable[Stamp]) -> list[Stamp]:
        """The nodes of dirty messages get conv first and lose it last. So whenever a crash leaves a wrong conv anywhere, one of
        them has conv, and the next settle begins with it (see `seed`), whatever the keys' items say by then.
        """
        bells = {name for m in self.dirty if m in self.stated for name in nodes_of(self.stated[m])}
        return sorted(stamps, key=lambda stamp: 1 if stamp.node not in bells else 2 if stamp.conv == CLEAR else 0)


def _parts(messages: Iterable[MessageId]) -> Iterator[list[MessageId]]:
    each = iter(messages)
    while some := list(islice(each, PART)):
        yield some


def _settle(threads: Threads, marks: Mapping[MessageId, int], choose: Choose, why: str) -> Settled:
    before: dict[MessageId, MessageId] = {}
    stated: dict[MessageId, Stated] = {}  # what a message states never changes
    seeds: set[MessageId] = set()
    while True:
        one = _Pass(threads, set(marks), choose, before, stated, seeds)
        one.run()
        if not one.wrote:
            break
    live = _flags(one)
    if live:
        threads.draw(live)
    # While the flips stand, a settle after a crash gathers the same again: what readers see is brought up to date before them.
    threads.place(one.after.keys())
    stamps = [Stamp(key, dead=one.dead_now[key]) for key in sorted(one.flips)]
    if stamps:
        threads.stamp(stamps)
    told = _feed(before, one.after, why)
    if told:
        threads.tell(told)
    threads.unmark(marks)
    return Settled(looked=len(one.affected), drawn=sum(row.live for row in live), changed=len(told))


def _flags(one: _Pass) -> list[Soft]:
    """The live flags of the affected messages' soft rows, where they change."""
    changed = []
    for message in sorted(one.affected):
        chosen = {t.target: Soft(message, t.target, True, t.kind, t.weight, t.detail) for t in one.decided[message]}
        for target, row in one.rows[message].items():
            want = chosen.get(target, row._replace(live=False))
            if want != row:
                changed.append(want)
    return changed


def _feed(before: Mapping[MessageId, MessageId], after: Mapping[MessageId, MessageId], why: str) -> list[FeedEntry]:
    became: dict[MessageId, set[MessageId]] = defaultdict(set)
    for message, old in before.items():
        became[old].add(after.get(message, old))
    entries = []
    for old, new in sorted(became.items()):
        if new != {old}:
            what = "parted" if len(new) > 1 else "joined"
            entries.append(FeedEntry(old, tuple(sorted(new)), f"{what} {why}".rstrip()))
    return entries

"""Folders of the model-based test that come, go and are renamed, one at a time: nobody else is at
anything then, but the server may be killed under it.
"""
from mailbox_view import Fault

NAMES = ("Later", "Plans", "Trips")
DEEP = "Deep"


class Turn:
    """What a command may have made of the folders: {name before: name after}, None for none."""

    def __init__(self, what, names, certain):
        self.what, self.names, self.certain = what, names, certain


def below(name, names):
    return [n for n in names if n == name or n.startswith(name + "/")]


class Folders:
    """Of mailbox_client.Client. turn: what its last command may have made."""

    turn = None

    def fold(self, words, names):
        tag = self.start(*words)
        yield
        result = self.finish(tag)
        if result is not None and result.status != "OK":
            raise Fault(f"{self.name}: {words}: {result.status} {result.text}")
        self.turn = Turn(f"{self.name} {words}", names, result is not None)
        return [], []

    def do_folder(self, rng):
        """Creates, deletes or renames one that nobody has open; renamed with all below it."""
        there = [n for n in self.world.boxes if n.partition("/")[0] in NAMES]
        free = [n for n in NAMES if n not in there] + [f"{n}/{DEEP}" for n in NAMES if n in there and f"{n}/{DEEP}" not in there]
        closed = [n for n in there if not set(below(n, there)) & set(self.world.open())]
        tops = [n for n in closed if "/" not in n]
        kind = rng.choice(["CREATE", "DELETE", "RENAME", "RENAME"])
        unused = [n for n in free if "/" not in n]
        if kind == "RENAME" and tops and unused:
            old, new = rng.choice(tops), rng.choice(unused)
            return (yield from self.fold(["RENAME", old, new], {n: new + n[len(old) :] for n in below(old, there)}))
        leaves = [n for n in closed if len(below(n, there)) == 1]
        if kind == "DELETE" and leaves:
            old = rng.choice(leaves)
            return (yield from self.fold(["DELETE", old], {old: None}))
        if not free:
            return (yield from self.do_list(rng))
        new = rng.choice(free)
        return (yield from self.fold(["CREATE", new], {None: new}))

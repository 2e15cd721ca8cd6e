"""SORT and THREAD of RFC 5256 as a model computes them, of messages as mailbox_world makes them: ASCII
subjects, one sender, dates that can be read.
"""
import copy
import datetime
import email
import email.utils
import functools
import re

MARK = re.compile(r"(?:re|fwd?)\s*(?:\[[^][]*\]\s*)?:\s*", re.I)
EPOCH = datetime.date(1970, 1, 1).toordinal()
BLOB = re.compile(r"\[[^][]*\]\s*")


class Mail:
    """What is asked of a message's header."""

    def __init__(self, content):
        head = email.message_from_bytes(content.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
        self.base, self.reply = base_subject(head["Subject"])
        date = email.utils.parsedate_to_datetime(head["Date"])
        self.date, self.day = date.timestamp(), date.date().toordinal() - EPOCH
        self.name, address = email.utils.parseaddr(head["From"])
        self.mailbox = address.partition("@")[0].upper()
        self.id = head["Message-ID"]
        self.references = re.findall("<[^>]*>", head["References"] or "") or re.findall("<[^>]*>", head["In-Reply-To"] or "")[:1]


@functools.lru_cache(maxsize=4096)
def mail(content):
    return Mail(content)


def stored(content, message):
    """With what the server alone knows of it: when it came, its size."""
    known = copy.copy(mail(content))
    known.arrival, known.size = message.date, message.size
    return known


def base_subject(text):
    """(in upper case, whether it is a reply or forward): RFC 5256, 2.1."""
    text, reply = " ".join(text.split()), False
    while True:
        before = text
        while text.lower().endswith("(fwd)"):
            text, reply = text[:-5].strip(), True
        mark = MARK.match(text)
        blob = BLOB.match(text)
        if mark:
            text, reply = text[mark.end() :], True
        elif blob and (MARK.match(text, blob.end()) or text[blob.end() :]):
            text = text[blob.end() :]
        if text == before:
            return text.upper(), reply


KEYS = {"SUBJECT": lambda m: m.base, "FROM": lambda m: m.mailbox, "DATE": lambda m: m.date, "DISPLAYFROM": lambda m: m.name.upper(),
        "ARRIVAL": lambda m: m.arrival, "SIZE": lambda m: m.size}  # fmt: skip


def sort(numbers, mails, criteria):
    """numbers in the order of criteria: [(reverse, key)]. The last decides least, the number at last."""
    found = sorted(numbers)
    for reverse, key in reversed(criteria):
        found.sort(key=lambda n, key=key: KEYS[key](mails[n]), reverse=reverse)
    return found


def by_date(numbers, mails):
    return sorted(numbers, key=lambda n: (mails[n].date, n))


def ordered_subject(numbers, mails):
    """Threads as imap.Parser.thread gives them."""
    threads = {}
    for n in by_date(numbers, mails):
        threads.setdefault(mails[n].base, []).append(n)
    # The first is the root, all others are its children, in order.
    return [t[:2] if len(t) < 3 else [t[0], [[n] for n in t[1:]]] for t in threads.values()]


class Node:
    def __init__(self, number=None):
        self.number, self.parent, self.children = number, None, []

    def adopt(self, child):
        if child.parent:
            child.parent.children.remove(child)
        child.parent = self
        self.children.append(child)

    def is_below(self, other):
        node = self
        while node and node is not other:
            node = node.parent
        return node is other

    def first(self):
        """A message: itself, or for a dummy its first child."""
        return self.number if self.number is not None else self.children[0].first()

    def shown(self):
        found = [] if self.number is None else [self.number]
        if len(self.children) == 1:
            return found + self.children[0].shown()
        return found + ([[c.shown() for c in self.children]] if self.children else [])


def link(numbers, mails):
    """Steps 1 and 2: the root, with all below it."""
    nodes, root = {}, Node()
    for n in sorted(numbers):
        at = mails[n].id if mails[n].id not in nodes or nodes[mails[n].id].number is None else f"copy {n}"
        chain = [nodes.setdefault(r, Node()) for r in mails[n].references]
        for parent, child in zip(chain, chain[1:]):
            if child.parent is None and not parent.is_below(child):
                parent.adopt(child)
        node = nodes.setdefault(at, Node())
        node.number = n
        if chain and not chain[-1].is_below(node):
            chain[-1].adopt(node)
        elif not chain and node.parent:
            node.parent.children.remove(node)
            node.parent = None
    for node in list(nodes.values()):
        if node.parent is None:
            root.adopt(node)
    return root


def prune(node, is_root):
    """Step 3: no dummies but at the top, with two children at least."""
    kept = []
    for child in node.children:
        prune(child, False)
        if child.number is not None or (is_root and len(child.children) > 1):
            kept.append(child)
        else:
            kept += child.children
    node.children = kept
    for child in kept:
        child.parent = node


def order(node, mails):
    for child in node.children:
        order(child, mails)
    node.children.sort(key=lambda c: (mails[c.first()].date, c.first()))


def merge(root, mails):
    """Step 5: threads of one subject become one."""
    table = {}
    for node in root.children:
        m = mails[node.first()]
        old = table.get(m.base)
        if old is None or (old.number is not None and (node.number is None or (mails[old.number].reply and not m.reply))):
            table[m.base] = node
    for node in list(root.children):
        m = mails[node.first()]
        old = table[m.base]
        if not m.base or old is node:
            continue
        if old.number is None and node.number is None:
            for child in list(node.children):
                old.adopt(child)
            root.children.remove(node)
        elif old.number is None or (m.reply and not mails[old.number].reply):
            old.adopt(node)
        else:
            both = Node()
            root.adopt(both)
            both.adopt(old)
            both.adopt(node)
            table[m.base] = both


def references(numbers, mails):
    root = link(numbers, mails)
    prune(root, True)
    order(root, mails)
    merge(root, mails)
    order(root, mails)
    return [c.shown() for c in root.children]

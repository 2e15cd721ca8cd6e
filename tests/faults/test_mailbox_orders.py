#!/usr/bin/env python3
"""Where mail goes in a user's mailbox and how much fits, on a whole server: junk, quarantine, tags,
aliases, quotas at RCPT and at delivery; and `postern mailbox` beside it.
"""
import glob
import json
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import postern  # noqa: E402

CONF = """
smtp { hostname "mx.here.test" }
mailboxes 2
mailbox { quota 20K  tag-folders yes }
domain "here.test" { recipients any  route local  alias "info" to "u" "v" }
domain "junk.test" { recipients any  route local  junk at 0 }
domain "held.test" { recipients any  route local  quarantine at 0 }
domain "small.test" { recipients any  route local  %s }
domain "listed.test" { recipients list "{root}/listed"  route local  alias "all" to "k+b" }
"""
OWN = "mailbox { quota 9K  over-quota reject  tag-folders no  folders { junk Unfug } }"
TEXT = "From: s@from.test\r\nSubject: x\r\n\r\nhello\r\n"
LARGE = TEXT + ("x" * 70 + "\r\n") * 110  # about 8 KB
count = postern.Counter("orders")


def send(server, rcpt, content=TEXT):
    session = postern.Session(server)
    answer = session.send(content, rcpts=rcpt if isinstance(rcpt, tuple) else (rcpt,))
    session.close()
    return answer


def at_rcpt(server, rcpt, size):
    """The answer to RCPT of so large a message."""
    session = postern.Session(server)
    session.command("EHLO client.test")
    session.command(f"MAIL FROM:<a@sender.test> SIZE={size}")
    answer = session.command(f"RCPT TO:<{rcpt}>")
    session.close()
    return answer


def ask(server, *words):
    """postern mailbox WORDS --json: exit status and lines."""
    command = [os.path.join(postern.build_folder(), "postern"), "mailbox", *words, "--json", "--root", server.root]
    p = postern.run(command)
    return p.returncode, [json.loads(line) for line in p.stdout.splitlines()]


def folders(server, user):
    return {o["folder"]: o["messages"] for o in ask(server, "list", user)[1] if "folder" in o}


def make_folder(server, user, name, marks=""):
    base = os.path.join(server.root, "mail", user.split("@")[1], user.split("@")[0], name)
    for sub in ("cur", "new", "tmp"):
        os.makedirs(os.path.join(base, sub))
    if marks:
        with open(os.path.join(base, "postern-folder"), "w", encoding="utf-8") as f:
            f.write(marks)


def placing(server):
    count.check(send(server, "u@here.test").startswith("250"), "a delivery")
    count.check(send(server, "u+Lists@here.test").startswith("250"), "a tag without a folder")
    count.check(folders(server, "u@here.test") == {"INBOX": 2}, "both are in the INBOX", folders(server, "u@here.test"))
    make_folder(server, "u@here.test", ".Lists")
    make_folder(server, "u@here.test", ".Private", "postern-folder 1\nuidvalidity 7\nuidnext 1\nuse \\Archive\n")
    for tag in ("Lists", "lists", "Private", "none", "INBOX"):
        send(server, f"u+{tag}@here.test")
    found = folders(server, "u@here.test")
    count.check(found == {"INBOX": 5, "Lists": 2, "Private": 0}, "tags find folders, but none with a use", found)
    make_folder(server, "k@here.test", ".Two words")
    for local in ('"k+Two words"', '"k+two words"', '"k+none such"', '"k+a\\"b"'):
        count.check(send(server, f"{local}@here.test").startswith("250"), f"a tag in quotes: {local}")
    found = folders(server, "k@here.test")
    count.check(found == {"INBOX": 2, "Two words": 2}, "a tag in quotes is his, too", found)
    count.check(send(server, "w@junk.test").startswith("250"), "junk")
    count.check(folders(server, "w@junk.test") == {"INBOX": 0, "Junk": 1}, "junk goes into Junk")
    send(server, "x@here.test")
    make_folder(server, "y@junk.test", ".Spam", "postern-folder 1\nuidvalidity 7\nuidnext 1\nuse \\Junk\n")
    send(server, "y@junk.test")
    count.check(folders(server, "y@junk.test") == {"INBOX": 0, "Spam": 1}, "junk goes where the user has it",
                folders(server, "y@junk.test"))
    count.check(send(server, "z@held.test").startswith("250"), "quarantine")
    count.check(ask(server, "list", "z@held.test")[0] == 1, "what is held is in no mailbox")
    count.check(send(server, "info@here.test").startswith("250"), "an alias")
    got = postern.until(lambda: folders(server, "v@here.test").get("INBOX") == 1)
    count.check(got and folders(server, "u@here.test")["INBOX"] == 6, "an alias reaches both")


def listed(server):
    """Names with the delimiter that a list has as they are."""
    for local, code in (("k+b", "250"), ("K+B", "250"), ("k+c", "550"), ("u+x", "250"), ('"u+x y"', "250"), ("all", "250")):
        answer = send(server, f"{local}@listed.test")
        count.check(answer.startswith(code), f"listed: {local}", answer)
    got = postern.until(lambda: folders(server, "k+b@listed.test").get("INBOX") == 3)
    count.check(got, "a listed name is its own", folders(server, "k+b@listed.test"))
    count.check(folders(server, "u@listed.test") == {"INBOX": 2}, "a tag is not", folders(server, "u@listed.test"))
    make_folder(server, "k+b@listed.test", ".b")
    send(server, ("k+b@listed.test", "K+B@listed.test", "k+B@Listed.Test"))
    found = folders(server, "k+b@listed.test")
    count.check(found == {"INBOX": 4, "b": 0}, "spelled in three ways, it gets one, and no part of a name is a tag", found)


def quotas(server):
    user = "q@here.test"
    count.check(send(server, user, LARGE).startswith("250"), "the first fits")
    count.check(at_rcpt(server, user, 8000).startswith("250"), "room at RCPT")
    count.check(send(server, user, LARGE).startswith("250"), "the second fits")
    answer = at_rcpt(server, user, 8000)
    count.check(answer.startswith("452 4.2.2"), "no room, said at RCPT", answer)
    count.check(at_rcpt(server, user + "", 100).startswith("250"), "a small one has room")
    answer = send(server, user, LARGE)
    count.check(answer.startswith("452 4.2.2"), "no room, said behind the content", answer)
    count.check(at_rcpt(server, "other@here.test", 8000).startswith("250"), "others have room")
    status, lines = ask(server, "quota", user, "40K")
    count.check(status == 0 and lines[-1]["bytes_limit"] == 40960 and lines[-1]["messages"] == 2, "his own", lines)
    count.check(send(server, user, LARGE).startswith("250"), "then there is room")
    for pid in server.roles("mailbox"):
        os.kill(pid, signal.SIGKILL)
    count.check(postern.until(lambda: ask(server, "quota", user)[0] == 0), "workers come back")
    status, lines = ask(server, "quota", user)
    count.check(lines[-1]["bytes_limit"] == 40960 and lines[-1]["messages"] == 3, "what was set stays", lines)
    status, lines = ask(server, "quota", user, "none", "--messages", "3")
    count.check(lines[-1]["bytes_limit"] == 0 and lines[-1]["messages_limit"] == 3, "messages", lines)
    count.check(at_rcpt(server, user, 1).startswith("452 4.2.2"), "too many messages")
    status, lines = ask(server, "quota", user, "default")
    count.check(lines[-1]["bytes_limit"] == 20480 and lines[-1]["messages_limit"] == 0, "the policy's again", lines)
    count.check(at_rcpt(server, user, 1).startswith("452 4.2.2"), "beyond it all the same")


def limits(server, user):
    said = ask(server, "quota", user)[1][-1]
    return said["bytes_limit"], said["bytes_from"].split("/")[-1], said["full"]


def reload(server, conf):
    server.write_conf(conf)
    server.process.send_signal(signal.SIGHUP)


def domains(server):
    """The user's own quota, his domain's, the default; and all of it by a reload."""
    user = "d@small.test"
    for name in (user, "e@here.test"):
        count.check(send(server, name, LARGE).startswith("250"), "the first fits")
    count.check(limits(server, user) == (9216, "postern.conf:11:68", "reject"), "its domain's", limits(server, user))
    count.check(limits(server, "e@here.test")[::2] == (20480, "defer"), "the default", limits(server, "e@here.test"))
    answer = at_rcpt(server, user, 8000)
    count.check(answer.startswith("552 5.2.2"), "refused at RCPT for good, where policy says so", answer)
    answer = send(server, user, LARGE)
    count.check(answer.startswith("552 5.2.2"), "and behind the content", answer)
    answer = at_rcpt(server, "d+tag@small.test", 8000)
    count.check(answer.startswith("552 5.2.2"), "and with a tag", answer)
    ask(server, "quota", user, "100K")
    count.check(limits(server, user)[:2] == (102400, "own"), "his own counts first", limits(server, user))
    count.check(at_rcpt(server, user, 8000).startswith("250"), "then there is room")
    ask(server, "quota", user, "default")
    reload(server, CONF % OWN.replace("9K", "12K").replace("reject", "defer"))
    changed = postern.until(lambda: limits(server, user)[::2] == (12288, "defer"))
    count.check(changed, "a reload changes it", limits(server, user))
    changed = postern.until(lambda: at_rcpt(server, user, 8000).startswith("452 4.2.2"))
    count.check(changed, "and the next RCPT has it")
    reload(server, CONF % "mailbox { quota 0 }")
    changed = postern.until(lambda: at_rcpt(server, user, 8000).startswith("250"))
    count.check(changed, "no limit in that domain", limits(server, user))
    reload(server, CONF % OWN)
    postern.until(lambda: limits(server, user)[0] == 9216)


def stalled(server):
    """A worker that says nothing holds nobody's RCPT for long, and refuses nobody."""
    workers = server.roles("mailbox")
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    answer = at_rcpt(server, "q@here.test", 8000)
    for pid in workers:
        os.kill(pid, signal.SIGCONT)
    count.check(answer.startswith("250"), "nobody knows: it is taken", answer)


def orders(server):
    user = "c@here.test"
    for i in range(3):
        send(server, user, TEXT + f"{i}\r\n")
    status, lines = ask(server, "check", user)
    count.check(status == 0 and lines[-1]["messages"] == 3 and lines[-1]["faults"] == 0, "all in order", lines)
    path = sorted(glob.glob(os.path.join(server.root, "mail/here.test/c/new/*")))[1]
    os.truncate(path, os.path.getsize(path) - 2)
    status, lines = ask(server, "check", user)
    faults = [o for o in lines if "fault" in o]
    count.check(status == 1 and len(faults) == 1 and faults[0]["uid"] == 2, "a fault is found", lines)
    status, lines = ask(server, "rebuild", user)
    count.check(lines[-1]["messages"] == 3, "the index is made anew", lines)
    count.check(folders(server, user)["INBOX"] == 3, "with all that is there")
    count.check(send(server, user).startswith("250"), "and more comes")
    status, lines = ask(server, "list", "nobody@here.test")
    count.check(status == 1 and not lines[-1]["ok"], "who has no mailbox", lines)
    count.check(not os.path.exists(os.path.join(server.root, "mail/here.test/nobody")), "gets none by the question")
    for words in (["quota"], ["list"], ["xyzzy", user], ["quota", user, "12Q"], ["quota", user, "0"],
                  ["check", user, "more"], ["list", user, "--messages", "3"]):
        count.check(ask(server, *words)[0] == 2, "usage " + " ".join(words))
    command = [os.path.join(postern.build_folder(), "postern"), "mailbox", "quota", user, "--root", server.root]
    p = postern.run(command)
    count.check(p.returncode == 0 and "bytes of 20480" in p.stdout, "for people", p.stdout)
    server.stop()
    count.check(ask(server, "list", user)[0] == 3, "no server")


def tell(server, *words):
    """As a person has it: exit status, stdout, stderr."""
    command = [os.path.join(postern.build_folder(), "postern"), "mailbox", *words, "--root", server.root]
    p = postern.run(command)
    return p.returncode, p.stdout, p.stderr


def wrong_words(server):
    """An argument that is wrong is named, with what is wrong."""
    user = "c@here.test"
    rows = (
        (("quota", user, "12zz"), "12zz: a size is a number"),
        (("quota", user, "0"), "0: nobody can have a limit of 0 bytes"),
        (("quota", user, "0M"), "0M: nobody can have a limit of 0 bytes"),
        (("quota", user, "-5"), "-5: a limit can't be less than nothing"),
        (("quota", user, "M"), "M: a size is a number"),
        (("quota", user, "99999999999G"), "99999999999G: so large a size"),
        (("quota", user, "99999999999999999999999"), "so large a size"),
        (("quota", user, "--messages", "5"), "--messages: both limits are set at once"),
        (("quota", user, "default", "--messages", "5"), "--messages: default is both limits"),
        (("quota", user, "1M", "--messages", "5x"), "5x: --messages expects a number"),
        (("quota", user, "1M", "--messages", "-5"), "-5: a limit can't be less than nothing"),
        (("list", user, "--messages", "5"), "--messages: it belongs to quota"),
        (("list", "c"), "c: a user is called user@domain"),
        (("quota", "@here.test", "1M"), "@here.test: a user is called user@domain"),
        (("check", "c@"), "c@: a user is called user@domain"),
        (("check", user, "x"), "x: one user is all that was expected"),
        (("xyzzy", user), "xyzzy: list, quota, check or rebuild"),
        (("quota", user, "1M", "2M"), "2M: this is one word too many"),
        (("list",), "list: whose mailbox?"),
    )
    for words, want in rows:
        status, out, err = tell(server, *words)
        first = err.split("\n")[0]
        named = first.startswith("postern mailbox: ") and want in first and out == ""
        count.check(status == 2 and named, "says what is wrong: " + " ".join(words), err)


def names(server):
    """A user is who he is at a login, however his name is written."""
    send(server, "cat@here.test")
    for name in ("CAT@HERE.TEST", "cat@HERE.test", "Cat@here.test"):
        count.check(folders(server, name) == {"INBOX": 1}, "one mailbox: " + name, ask(server, "list", name))
    status, lines = ask(server, "quota", "CAT@HERE.TEST", "30K")
    count.check(status == 0 and lines[-1]["user"] == "cat@here.test", "his quota", lines)
    count.check(limits(server, "cat@here.test")[0] == 30720, "is set")
    for rcpt, name in (('"Zoe"@here.test', "zoe@here.test"), ('"q x"@here.test', '"Q X"@here.test'), ("-5x@here.test", "-5x@here.test")):
        count.check(send(server, rcpt).startswith("250"), "mail for " + rcpt)
        for user in (rcpt, name):
            command = [os.path.join(postern.build_folder(), "postern"), "mailbox", "--root", server.root, "--", "list", user]
            p = postern.run(command)
            count.check(p.returncode == 0 and ", 1 messages," in p.stdout, f"{rcpt} is {user}", (p.stdout, p.stderr))


def before_mail(server):
    """A quota may come before the first mail."""
    user = "soon@here.test"
    status, out, err = tell(server, "quota", user)
    count.check(status == 1 and "the first mail makes it, a login, or a quota" in err, "none yet, and why", err)
    count.check(ask(server, "quota", user, "default")[0] == 1, "default makes none")
    count.check(not os.path.exists(os.path.join(server.root, "mail/here.test/soon")), "none was made")
    status, lines = ask(server, "quota", user, "6K")
    made = status == 0 and lines[-1].get("made") is True
    count.check(made and lines[-1]["bytes_limit"] == 6144 and lines[-1]["bytes"] == 0, "a quota makes it", lines)
    status, lines = ask(server, "quota", user, "7K")
    count.check(status == 0 and "made" not in lines[-1] and lines[-1]["bytes_limit"] == 7168, "once", lines)
    count.check(send(server, user, LARGE).startswith("452 4.2.2"), "and holds for the first mail")
    count.check(send(server, user).startswith("250"), "a small one has room")
    count.check(folders(server, user) == {"INBOX": 1}, "and is there", folders(server, user))
    for pid in server.roles("mailbox"):
        os.kill(pid, signal.SIGKILL)
    count.check(postern.until(lambda: ask(server, "quota", user)[0] == 0), "workers come back")
    count.check(limits(server, user)[0] == 7168 and folders(server, user) == {"INBOX": 1}, "with both")


with postern.Server(CONF % OWN) as whole:
    with open(os.path.join(whole.root, "listed"), "w", encoding="utf-8") as f:
        f.write("u\nk+b\n")
    whole.start()
    placing(whole)
    listed(whole)
    quotas(whole)
    domains(whole)
    stalled(whole)
    wrong_words(whole)
    names(whole)
    before_mail(whole)
    orders(whole)
sys.exit(count.close())

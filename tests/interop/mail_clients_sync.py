"""Programs that keep a Maildir of their own in step with the server: mbsync and offlineimap3, both
ways, with changes on both sides and conflicts."""
import glob
import os

from mail_clients import PASSWORD, content, ident_of, without_marks

LETTERS = {"D": "\\Draft", "F": "\\Flagged", "R": "\\Answered", "S": "\\Seen", "T": "\\Deleted"}
UMLAUT = "Entwürfe alt"  # travels in modified UTF-7


class Local:
    """A Maildir of the client's."""

    def __init__(self, path):
        self.path = path

    def files(self):
        found = {}
        for p in glob.glob(glob.escape(self.path) + "/cur/*") + glob.glob(glob.escape(self.path) + "/new/*"):
            with open(p, "rb") as f:
                data = f.read()
            found[ident_of(data)] = (p, data)
        return found

    def state(self):
        return {i: flags_of(p) for i, (p, _) in sorted(self.files().items())}

    def mark(self, ident, letters):
        path, _ = self.files()[ident]
        name = os.path.basename(path).split(":2,")[0]
        os.rename(path, f"{self.path}/cur/{name}:2,{letters}")

    def drop(self, ident, data, letters=""):
        name = f"1700000000.X{ident}.local:2,{letters}"
        with open(f"{self.path}/tmp/{name}", "wb") as f:
            f.write(data.replace(b"\r\n", b"\n"))
        os.rename(f"{self.path}/tmp/{name}", f"{self.path}/cur/{name}")

    def take(self, ident):
        os.unlink(self.files()[ident][0])


def flags_of(path):
    letters = path.rsplit(":2,", 1)[1] if ":2," in path else ""
    return " ".join(sorted(LETTERS[c] for c in letters if c in LETTERS))


def utf7(name):
    """Modified UTF-7 (RFC 3501, 5.1.3), for a test's one name."""
    out = ""
    for c in name:
        out += c if " " <= c <= "~" else "&" + c.encode("utf-7").decode()[1:-1].replace("/", ",") + "-"
    return out


def two_ways(case, sync, local):
    """local: folder -> Local. What both programs must do."""
    folders = ("INBOX", "Work", utf7(UMLAUT))
    case.put("INBOX", "one", "two", "three", "four", "five", "six", "seventh")
    case.put("Work", "seven", flags="\\Seen \\Flagged")
    case.put(folders[2], "eight", lines=20000)
    sync("the first time")
    for folder in folders:
        agree(case, local(folder), folder, "pulled")
    same_bytes(case, local, folders)
    # Both sides change, some messages on both.
    inbox, work = local("INBOX"), local("Work")
    inbox.mark("one", "FS")
    case.flag("INBOX", "one", "+", "\\Answered")  # other flags on each side
    case.delete("INBOX", "two")
    inbox.mark("three", "S")
    inbox.take("four")
    case.flag("INBOX", "five", "+", "\\Flagged \\Seen")
    inbox.mark("five", "S")  # the same flag on both sides
    work.mark("seven", "FRS")
    case.flag("Work", "seven", "-", "\\Flagged")  # one side gives a flag, the other takes one
    case.sent["nine"] = content("nine")
    work.drop("nine", case.sent["nine"], "S")
    case.put("Work", "ten", flags="\\Draft")
    sync("with changes on both sides")
    for folder in folders:
        agree(case, local(folder), folder, "both ways")
    found = case.state("INBOX")
    case.same(set(found), {"one", "three", "five", "six", "seventh"}, "what was deleted on either side is gone")
    case.same(found.get("three"), "\\Seen", "a flag set locally is on the server")
    case.same(found.get("five"), "\\Flagged \\Seen", "a flag of both sides")
    case.same(found.get("one"), "\\Answered \\Flagged \\Seen", "other flags given on each side: all of them")
    case.same(case.state("Work"), {"nine": "\\Seen", "seven": "\\Answered \\Seen", "ten": "\\Draft"}, "new ones of both sides, and flags")
    same_bytes(case, local, folders)
    case.is_as_sent("Work", "uploaded")
    # Conflicts: deleted there and changed here, and the other way; then nothing is left to do.
    case.delete("INBOX", "six")
    inbox.mark("six", "F")
    inbox.take("seventh")
    case.flag("INBOX", "seventh", "+", "\\Flagged")
    sync("with conflicts")
    for ident in ("six", "seventh"):
        case.same(ident in inbox.state(), ident in case.state("INBOX"), f"{ident}, deleted on one side and flagged on the other")
    before = {f: case.state(f) for f in folders}
    sync("with nothing to do")
    case.same({f: case.state(f) for f in folders}, before, "a sync with nothing to do changes nothing")
    for folder in folders:
        agree(case, local(folder), folder, "at the end")


def agree(case, local, folder, what):
    case.same(local.state(), case.state(folder), f"{what}: {folder} is the same on both sides")


def same_bytes(case, local, folders):
    for folder in folders:
        for ident, (_, data) in local(folder).files().items():
            found = without_marks(data)
            case.check(found == case.sent[ident].replace(b"\r\n", b"\n"), f"{ident} to the byte", found[:1000])


def mbsync(case):
    os.makedirs(case.path("mail"))
    kind = {"plain": "None", "tls": "IMAPS", "starttls": "STARTTLS"}[case.way]
    tls = f"SSLType {kind}" + (f"\nCertificateFile {case.target.certificate}" if case.tls else "")
    conf = case.write("mbsyncrc", f"""
IMAPAccount server
Host {case.host}
Port {case.imap_port}
User {case.user}
Pass {PASSWORD}
AuthMechs {"PLAIN" if case.tls else "LOGIN"}
{tls}

IMAPStore far
Account server

MaildirStore near
Path {case.path("mail")}/
Inbox {case.path("mail")}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState *
CopyArrivalDate yes
""")
    two_ways(case, lambda what: case.run(["mbsync", "-c", conf, "-a"], what), lambda f: Local(case.path("mail", f)))


def offlineimap(case):
    os.makedirs(case.path("mail"))
    tls = {"plain": "ssl = no\nstarttls = no", "tls": "ssl = yes", "starttls": "ssl = no\nstarttls = yes"}[case.way]
    tls += f"\nsslcacertfile = {case.target.certificate}" if case.tls else ""
    conf = case.write("offlineimaprc", f"""
[general]
accounts = test
metadata = {case.path("meta")}
socktimeout = 60

[Account test]
localrepository = near
remoterepository = far

[Repository near]
type = Maildir
localfolders = {case.path("mail")}

[Repository far]
type = IMAP
{tls}
remotehost = {case.host}
remoteport = {case.imap_port}
remoteuser = {case.user}
remotepass = {PASSWORD}
auth_mechanisms = {"PLAIN" if case.tls else "LOGIN"}
usecompression = no
""")
    two_ways(case, lambda what: case.run(["offlineimap", "-o", "-c", conf, "-u", "basic"], what), lambda f: Local(case.path("mail", f)))


TESTS = {"mbsync": mbsync, "offlineimap": offlineimap}

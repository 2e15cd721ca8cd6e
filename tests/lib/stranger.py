"""One who knows nothing of servers and handles the files of a Maildir; as a program, steps as JSON."""
import json
import os
import shutil
import sys


def touch(steps):
    """Steps: ("write", path, text), ("rename", from, to), ("remove", path),
    ("clear", folder), which need not be there; synced with their folders, for else a power cut may
    take it back."""
    folders = set()
    for what, path, *more in steps:
        if what == "write":
            with open(path, "w", encoding="latin-1", newline="") as f:
                f.write(more[0])
                f.flush()
                os.fsync(f.fileno())
        elif what == "rename":
            os.rename(path, more[0])
            folders.add(os.path.dirname(more[0]))
        elif what == "remove":
            os.unlink(path)
        elif os.path.isdir(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            continue
        folders.add(os.path.dirname(path))
    for folder in folders:
        fd = os.open(folder, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)


if __name__ == "__main__":
    touch(json.load(sys.stdin))

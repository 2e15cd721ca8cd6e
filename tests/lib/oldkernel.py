#!/usr/bin/env python3
"""oldkernel.py PART[,PART] COMMAND...: runs a command as on a kernel that has no `landlock` or
no `seccomp`: a filter of our own answers for it."""
import ctypes
import os
import struct
import sys

PR_SET_NO_NEW_PRIVS, PR_GET_SECCOMP, PR_SET_SECCOMP, MODE_FILTER = 38, 21, 22, 2
ENOSYS, EINVAL, ALLOW, ERRNO = 38, 22, 0x7FFF0000, 0x00050000
LD, JEQ, RET = 0x20, 0x15, 0x06
NUMBERS = {"x86_64": (157, 317, 444), "aarch64": (167, 277, 444)}  # prctl, seccomp, landlock_create_ruleset


def program(parts):
    prctl, seccomp, landlock = NUMBERS[os.uname().machine]
    rules = [(LD, 0, 0, 0)]
    if "landlock" in parts:
        rules += [(JEQ, 0, 1, landlock), (RET, 0, 0, ERRNO | ENOSYS)]
    if "seccomp" in parts:
        rules += [(JEQ, 0, 1, seccomp), (RET, 0, 0, ERRNO | ENOSYS)]
        rules += [(JEQ, 0, 4, prctl), (LD, 0, 0, 16), (JEQ, 1, 0, PR_SET_SECCOMP), (JEQ, 0, 1, PR_GET_SECCOMP)]
        rules += [(RET, 0, 0, ERRNO | EINVAL)]
    return rules + [(RET, 0, 0, ALLOW)]


def main():
    rules = program(sys.argv[1].split(","))
    code = b"".join(struct.pack("HBBI", *r) for r in rules)
    buffer = ctypes.create_string_buffer(code, len(code))
    prog = struct.pack("HxxxxxxP", len(rules), ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, MODE_FILTER, prog, 0, 0):
        sys.exit(f"oldkernel: {os.strerror(ctypes.get_errno())}")
    os.execvp(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()

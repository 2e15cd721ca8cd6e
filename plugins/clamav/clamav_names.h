/*
 * What a name that libclamav reports is worth. Its heuristics come under names of their
 * own; a limit that was reached says only that nobody looked further.
 */
#ifndef CLAMAV_NAMES_H
#define CLAMAV_NAMES_H

enum clamav_kind {
    CLAMAV_VIRUS,
    CLAMAV_UNSCANNABLE, /* a limit of size, depth, number or time */
    CLAMAV_ENCRYPTED,
    CLAMAV_MACRO,
    CLAMAV_BROKEN,   /* what can't be unpacked, or is cut */
    CLAMAV_HEURISTIC /* phishing marks and the like */
};

enum clamav_kind clamav_kind(const char *name);

#endif

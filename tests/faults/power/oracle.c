#include "oracle.h"

#include "assert.h"

/* What an event says of a place. */
static const struct {
    const char *name;
    uint8_t place, must;
} rows[] = {
    [EV_OFFERED] = {"offered", IN_JOURNAL, MAY},
    [EV_KEPT] = {"kept", IN_JOURNAL, MUST},
    [EV_REFUSED] = {"refused", IN_JOURNAL, MUST_NOT},
    [EV_REFUSED_UNSURELY] = {"refused unsurely", IN_JOURNAL, MAY},
    [EV_NOTE] = {"note", PLACES, MAY},
    [EV_NOTED] = {"noted", PLACES, MAY},
    [EV_NOTE_FAILED] = {"note failed", PLACES, MAY},
    [EV_END] = {"end", IN_JOURNAL, MAY},
    [EV_ENDED] = {"ended", IN_JOURNAL, MUST_NOT},
    [EV_END_FAILED] = {"end failed", IN_JOURNAL, MAY},
    [EV_HOLD] = {"hold", IN_HELD, MAY},
    [EV_HELD] = {"held", IN_HELD, MUST},
    [EV_HOLD_FAILED] = {"hold failed", IN_HELD, MAY},
    [EV_DROP] = {"drop", IN_HELD, MAY},
    [EV_DROPPED] = {"dropped", IN_HELD, MUST_NOT},
    [EV_DROP_FAILED] = {"drop failed", IN_HELD, MAY},
    [EV_DELIVER] = {"deliver", IN_MAILBOX, MAY},
    [EV_DELIVERED] = {"delivered", IN_MAILBOX, MUST},
    [EV_DELIVER_FAILED] = {"deliver failed", IN_MAILBOX, MAY},
    [EV_COPY] = {"copy", PLACES, MAY},
    [EV_COPIED] = {"copied", PLACES, MAY},
    [EV_COPY_FAILED] = {"copy failed", PLACES, MAY},
    [EV_SHIFT] = {"shift", PLACES, MAY},
    [EV_SHIFTED] = {"shifted", PLACES, MAY},
    [EV_SHIFT_FAILED] = {"shift failed", PLACES, MAY},
    [EV_FLAG] = {"flag", PLACES, MAY},
    [EV_FLAGGED] = {"flagged", PLACES, MAY},
    [EV_EXPUNGE] = {"expunge", IN_MAILBOX, MAY},
    [EV_EXPUNGED] = {"expunged", IN_MAILBOX, MUST_NOT},
    [EV_EXPUNGE_FAILED] = {"expunge failed", IN_MAILBOX, MAY},
    [EV_FREEZE] = {"freeze", IN_FROZEN, MAY},
    [EV_FROZEN] = {"frozen", IN_FROZEN, MUST},
    [EV_FREEZE_FAILED] = {"freeze failed", IN_FROZEN, MAY},
    [EV_THAW] = {"thaw", IN_FROZEN, MAY},
    [EV_THAWED] = {"thawed", IN_FROZEN, MUST_NOT},
    [EV_THAW_FAILED] = {"thaw failed", IN_FROZEN, MAY},
};

static void add_to_mailbox(struct mail *mail, const struct event *e)
{
    unsigned *tries = &mail->tries[IN_MAILBOX];
    switch (e->type) {
    case EV_DELIVERED:
        mail->least = 1;
        mail->uid = e->value;
        break;
    case EV_COPY:
    case EV_SHIFT:
        (*tries)++;
        break;
    case EV_COPIED:
        mail->least++;
        break;
    case EV_SHIFTED: /* what it was is gone */
        (*tries)--;
        break;
    case EV_EXPUNGE:
        mail->least = 0;
        mail->flagged = false;
        break;
    case EV_FLAGGED:
        mail->flagged = true;
        break;
    default:
        break;
    }
}

void oracle_add(struct oracle *oracle, const struct event *e)
{
    pn_assert(e->id < MAILS_MAX && e->who < RCPTS);
    struct mail *mail = &oracle->mails[e->id];
    if (e->id >= oracle->count)
        oracle->count = e->id + 1;
    if (rows[e->type].place != PLACES)
        mail->must[rows[e->type].place] = rows[e->type].must;
    if (e->type == EV_OFFERED || e->type == EV_HOLD || e->type == EV_DELIVER ||
        e->type == EV_FREEZE)
        mail->tries[rows[e->type].place]++;
    add_to_mailbox(mail, e);
    mail->offered |= e->type == EV_OFFERED;
    mail->kept |= e->type == EV_KEPT;
    mail->refused |= e->type == EV_REFUSED || e->type == EV_REFUSED_UNSURELY;
    if (e->type == EV_NOTE)
        mail->high[e->who] = e->value;
    if (e->type == EV_NOTED)
        mail->low[e->who] = e->value;
}

const char *oracle_event_name(enum event_type type)
{
    return rows[type].name;
}

const char *oracle_place_name(enum place place)
{
    static const char *const names[PLACES] = {"journal", "held", "mailbox",
                                              "list of frozen domains"};
    return names[place];
}

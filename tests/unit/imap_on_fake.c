/* The rig's users are of the store in memory. */
#include "assert.h"
#include "fake_store.h"
#include "imap_rig.h"

const bool imap_rig_cuts = true;

struct pn_user *imap_rig_user(bool again)
{
    static struct pn_user *last;
    return last = again ? fake_user_again(last) : fake_user();
}

#include "mem.h"
#include "text_file.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { STATES = 512 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct text_state states[STATES];
static uint64_t turn;

static bool is_of(const struct text_state *state, const struct text_state *file)
{
    return state->right != NULL && state->device == file->device && state->inode == file->inode &&
           state->size == file->size && state->changed == file->changed &&
           state->pages == file->pages;
}

/* The slot of a file that is known, else one to be used anew; NULL: all are in use. */
static struct text_state *slot_for(const struct text_state *file)
{
    struct text_state *oldest = NULL;
    for (size_t i = 0; i < STATES; i++) {
        if (is_of(&states[i], file))
            return &states[i];
        if (states[i].refs == 0 && (oldest == NULL || states[i].used < oldest->used))
            oldest = &states[i];
    }
    return oldest;
}

struct text_state *text_state_get(int fd, size_t pages)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return NULL;
    struct text_state file = {.device = st.st_dev, .inode = st.st_ino, .pages = pages};
    file.size = (uint64_t)st.st_size;
    file.changed = (int64_t)st.st_ctim.tv_sec * 1000000000 + st.st_ctim.tv_nsec;
    (void)pthread_mutex_lock(&lock);
    struct text_state *state = slot_for(&file);
    if (state == NULL) { /* one that is not kept */
        state = pn_alloc(sizeof *state);
        *state = file;
        state->right = pn_calloc(pages + 1, 1);
    } else if (!is_of(state, &file)) {
        free(state->right);
        *state = file;
        state->right = pn_calloc(pages + 1, 1);
    }
    state->refs++;
    state->used = ++turn;
    (void)pthread_mutex_unlock(&lock);
    return state;
}

void text_state_put(struct text_state **state)
{
    if (*state == NULL)
        return;
    (void)pthread_mutex_lock(&lock);
    (*state)->refs--;
    bool kept = *state >= states && *state < states + STATES;
    (void)pthread_mutex_unlock(&lock);
    if (!kept) {
        free((*state)->right);
        free(*state);
    }
    *state = NULL;
}

#include "rules_decide.h"

#include <stdlib.h>

/* ---- the tree ---- */

struct operand {
    uint32_t node;
    unsigned depth;
};

struct build {
    struct rules_node *node;
    uint32_t count;
    uint32_t *last; /* child of each node */
    struct operand *stack;
    size_t height;
    const char *error;
};

static uint32_t add_costs(uint32_t a, uint32_t b)
{
    return a > UINT32_MAX - b ? UINT32_MAX : a + b;
}

static void push(struct build *b, uint32_t node, unsigned depth)
{
    if (depth > RULES_TREE_DEPTH_MAX)
        b->error = "expression nested too deeply";
    b->stack[b->height++] = (struct operand){node, depth};
}

static void add_operand(struct build *b, uint32_t parent, uint32_t operand)
{
    struct rules_node *node = b->node;

    if (node[parent].child == 0)
        node[parent].child = operand;
    else
        node[b->last[parent]].next = operand;
    b->last[parent] = operand;
    node[parent].cost = add_costs(node[parent].cost, node[operand].cost);
}

static uint32_t add_parent(struct build *b, enum rules_op op, uint32_t operand)
{
    uint32_t n = b->count++;

    b->node[n] = (struct rules_node){.op = op};
    add_operand(b, n, operand);
    return n;
}

static void wrap(struct build *b, enum rules_op op)
{
    struct operand top = b->stack[--b->height];

    push(b, add_parent(b, op, top.node), top.depth + 1);
}

static void join(struct build *b, enum rules_op op)
{
    struct operand left, right;
    bool taken;

    if (op == RULES_OP_SUBTRACT) { /* a - b is a + -b, to the last bit */
        wrap(b, RULES_OP_NEGATE);
        op = RULES_OP_ADD;
    }
    right = b->stack[--b->height];
    left = b->stack[--b->height];
    taken = b->node[left.node].op == op &&
            (op == RULES_OP_AND || op == RULES_OP_OR || op == RULES_OP_ADD);
    if (!taken) {
        left.node = add_parent(b, op, left.node);
        left.depth++;
    }
    add_operand(b, left.node, right.node);
    push(b, left.node, left.depth > right.depth + 1 ? left.depth : right.depth + 1);
}

struct child {
    uint32_t node, cost;
};

static int by_cost(const void *a, const void *b)
{
    const struct child *x = a;
    const struct child *y = b;

    if (x->cost != y->cost)
        return x->cost < y->cost ? -1 : 1;
    return (x->node > y->node) - (x->node < y->node);
}

/* The order of a sum stays: it could matter for the last bit. */
static void order_children(struct rules_node *node, uint32_t parent, struct child *room)
{
    uint32_t *link = &node[parent].child;
    size_t count = 0;

    if (node[parent].op != RULES_OP_AND && node[parent].op != RULES_OP_OR)
        return;
    for (uint32_t c = node[parent].child; c != 0; c = node[c].next)
        room[count++] = (struct child){c, node[c].cost};
    qsort(room, count, sizeof(*room), by_cost);
    for (size_t i = 0; i < count; i++) {
        *link = room[i].node;
        link = &node[room[i].node].next;
    }
    *link = 0;
}

static void add_steps(struct build *b, const struct rules_meta *m, rules_cost *cost,
                      const void *arg)
{
    for (size_t i = 0; i < m->count && b->error == NULL; i++) {
        const struct rules_step *s = &m->steps[i];

        if (s->op == RULES_OP_NAME && s->name != RULES_NOBODY) {
            b->node[b->count] =
                (struct rules_node){.op = s->op, .name = s->name, .cost = cost(arg, s->name)};
            push(b, b->count++, 1);
        } else if (s->op == RULES_OP_NAME || s->op == RULES_OP_NUMBER) {
            b->node[b->count] = (struct rules_node){
                .op = RULES_OP_NUMBER, .number = s->op == RULES_OP_NAME ? 0 : s->number};
            push(b, b->count++, 1);
        } else if (s->op == RULES_OP_NOT || s->op == RULES_OP_NEGATE) {
            wrap(b, s->op);
        } else {
            join(b, s->op);
        }
    }
}

/* The nodes in the order in which they are looked at, operands of one beside one another. */
static void lay_out(const struct build *b, struct rules_node *to)
{
    uint32_t count = 1;

    to[count++] = b->node[b->stack[0].node];
    for (uint32_t i = 1; i < count; i++) {
        uint32_t *link = &to[i].child;

        for (uint32_t c = to[i].child; c != 0; c = b->node[c].next) {
            *link = count;
            to[count] = b->node[c];
            link = &to[count++].next;
        }
        *link = 0;
    }
}

static const char *build(struct build *b, const struct rules_meta *m, rules_cost *cost,
                         const void *arg, struct rules_arena *a)
{
    size_t most = 2 * m->count + 1; /* each step a node, a minus two, and node 0 */
    struct child *room = rules_alloc(a, most * sizeof(*room));

    b->node = rules_alloc(a, most * sizeof(*b->node));
    b->last = rules_alloc(a, most * sizeof(*b->last));
    b->stack = rules_alloc(a, most * sizeof(*b->stack));
    if (room == NULL || b->node == NULL || b->last == NULL || b->stack == NULL)
        return "out of memory";
    add_steps(b, m, cost, arg);
    for (uint32_t i = 1; i < b->count && b->error == NULL; i++)
        order_children(b->node, i, room);
    return b->error;
}

const char *rules_tree_new(struct rules_tree *t, const struct rules_meta *m, rules_cost *cost,
                           const void *arg, struct rules_arena *a)
{
    struct rules_arena scratch = {.used = 0};
    struct build b = {.count = 1};
    const char *error = build(&b, m, cost, arg, &scratch);
    struct rules_node *node = error != NULL ? NULL : rules_alloc(a, b.count * sizeof(*node));

    if (node != NULL) {
        lay_out(&b, node);
        *t = (struct rules_tree){node, 1};
    }
    rules_arena_free(&scratch);
    return error == NULL && node == NULL ? "out of memory" : error;
}

bool rules_tree_is_bool(const struct rules_tree *t)
{
    enum rules_op op = t->node[t->top].op;

    return op == RULES_OP_NOT || (op >= RULES_OP_OR && op <= RULES_OP_GE);
}

/* ---- what is known without asking ---- */

static struct rules_guess settled(double number, bool known)
{
    return (struct rules_guess){number, number, true, known, false};
}

static struct rules_guess between(double least, double most, bool doubtful)
{
    return (struct rules_guess){least, most, false, false, doubtful};
}

static struct rules_guess of_value(struct rules_value v)
{
    return settled(v.number, v.known);
}

static bool is_zero(struct rules_guess g)
{
    return g.settled && g.known && g.least == 0;
}

static bool is_not_zero(struct rules_guess g)
{
    if (g.settled)
        return g.known && g.least != 0;
    return !g.doubtful && (g.least > 0 || g.most < 0);
}

static struct rules_guess peek_name(const struct rules_answers *a, uint32_t name)
{
    static const struct rules_guess guesses[] = {
        [RULES_ZERO] = {0, 0, true, true, false},
        [RULES_ONE] = {1, 1, true, true, false},
        [RULES_UNKNOWN] = {0, 0, true, false, false},
        [RULES_OPEN_BOOL] = {0, 1, false, false, false},
        [RULES_OPEN_ANY] = {-INFINITY, INFINITY, false, false, false}};
    uint8_t state = a->state[name];

    if (state == RULES_NUMBER)
        return settled(a->number[name], true);
    return state == RULES_OPEN ? a->bounds(a->arg, name) : guesses[state];
}

static struct rules_guess peek_deep(const struct rules_tree *t, uint32_t n,
                                    const struct rules_answers *a);

/* Most of what an expression has are names. */
static inline struct rules_guess peek(const struct rules_tree *t, uint32_t n,
                                      const struct rules_answers *a)
{
    const struct rules_node *node = &t->node[n];

    return node->op == RULES_OP_NAME ? peek_name(a, node->name) : peek_deep(t, n, a);
}

/* Of a name what is known of it; RULES_OPEN of all else. */
static inline enum rules_state state_of(const struct rules_tree *t, uint32_t n,
                                        const struct rules_answers *a)
{
    const struct rules_node *node = &t->node[n];

    return node->op == RULES_OP_NAME ? a->state[node->name] : RULES_OPEN;
}

static struct rules_guess peek_not(struct rules_guess g)
{
    if (g.settled)
        return settled(g.least == 0, g.known);
    return is_not_zero(g) ? settled(0, true) : between(0, 1, g.doubtful);
}

static struct rules_guess peek_logic(const struct rules_tree *t, uint32_t n,
                                     const struct rules_answers *a)
{
    bool all = t->node[n].op == RULES_OP_AND;
    enum rules_state decides = all ? RULES_ZERO : RULES_ONE;
    bool open = false;
    bool known = true; /* what is settled */
    bool doubtful = false;

    for (uint32_t c = t->node[n].child; c != 0; c = t->node[c].next) {
        enum rules_state s = state_of(t, c, a);
        struct rules_guess g;

        if (s == decides)
            return settled(!all, true);
        if (s <= RULES_ONE)
            continue;
        g = peek(t, c, a);
        if (all ? is_zero(g) : is_not_zero(g))
            return settled(!all, true);
        open = open || !g.settled;
        known = known && (!g.settled || g.known);
        doubtful = doubtful || g.doubtful;
    }
    return open ? between(0, 1, doubtful || !known) : settled(all, known);
}

static struct rules_guess peek_sum(const struct rules_tree *t, uint32_t n,
                                   const struct rules_answers *a)
{
    struct rules_guess sum = settled(0, true);

    for (uint32_t c = t->node[n].child; c != 0; c = t->node[c].next) {
        struct rules_guess g;

        if (state_of(t, c, a) == RULES_ZERO)
            continue;
        g = peek(t, c, a);
        if (g.settled && !g.known)
            return settled(0, false);
        sum.settled = sum.settled && g.settled;
        sum.doubtful = sum.doubtful || g.doubtful;
        sum.least += g.least;
        sum.most += g.most;
    }
    return sum;
}

/* Of a comparison: 1 or 0 where the bounds decide it, -1 where they do not. */
static int compare(enum rules_op op, struct rules_guess a, struct rules_guess b)
{
    switch (op) {
    case RULES_OP_LT:
        return a.most < b.least ? 1 : a.least >= b.most ? 0 : -1;
    case RULES_OP_LE:
        return a.most <= b.least ? 1 : a.least > b.most ? 0 : -1;
    case RULES_OP_GT:
        return compare(RULES_OP_LT, b, a);
    case RULES_OP_GE:
        return compare(RULES_OP_LE, b, a);
    default:
        return a.most < b.least || a.least > b.most ? op == RULES_OP_NE : -1;
    }
}

static struct rules_guess peek_two(const struct rules_tree *t, uint32_t n,
                                   const struct rules_answers *arg)
{
    enum rules_op op = t->node[n].op;
    struct rules_guess a = peek(t, t->node[n].child, arg);
    struct rules_guess b = peek(t, t->node[t->node[n].child].next, arg);
    bool doubtful = a.doubtful || b.doubtful;
    int decided;

    if ((a.settled && !a.known) || (b.settled && !b.known))
        return settled(0, false);
    if (a.settled && b.settled)
        return of_value(rules_meta_two(op, a.least, b.least));
    if (op == RULES_OP_MULTIPLY || op == RULES_OP_DIVIDE)
        return between(-INFINITY, INFINITY, doubtful || op == RULES_OP_DIVIDE);
    decided = doubtful ? -1 : compare(op, a, b);
    return decided < 0 ? between(0, 1, doubtful) : settled(decided, true);
}

/* The tree is no deeper than RULES_TREE_DEPTH_MAX. */
static struct rules_guess peek_deep(const struct rules_tree *t, uint32_t n,
                                    const struct rules_answers *a)
{
    const struct rules_node *node = &t->node[n];
    struct rules_guess g;

    switch (node->op) {
    case RULES_OP_NUMBER:
        return settled(node->number, true);
    case RULES_OP_NOT:
        return peek_not(peek(t, node->child, a));
    case RULES_OP_NEGATE:
        g = peek(t, node->child, a);
        return (struct rules_guess){-g.most, -g.least, g.settled, g.known, g.doubtful};
    case RULES_OP_OR:
    case RULES_OP_AND:
        return peek_logic(t, n, a);
    case RULES_OP_ADD:
        return peek_sum(t, n, a);
    default:
        return peek_two(t, n, a);
    }
}

/* ---- asking ---- */

static struct rules_guess decide(const struct rules_tree *t, uint32_t n,
                                 const struct rules_answers *a);

static struct rules_guess decide_logic(const struct rules_tree *t, uint32_t n,
                                       const struct rules_answers *a)
{
    bool all = t->node[n].op == RULES_OP_AND;
    enum rules_state decides = all ? RULES_ZERO : RULES_ONE;
    struct rules_guess seen = peek_logic(t, n, a);
    bool known = true;

    if (seen.settled)
        return seen;
    for (uint32_t c = t->node[n].child; c != 0; c = t->node[c].next) {
        enum rules_state s = state_of(t, c, a);
        struct rules_guess g;

        if (s == decides)
            return settled(!all, true);
        if (s <= RULES_ONE)
            continue;
        g = decide(t, c, a);
        if (all ? is_zero(g) : is_not_zero(g))
            return settled(!all, true);
        known = known && g.known;
    }
    return settled(all, known);
}

static bool is_open(const struct rules_tree *t, uint32_t n, const struct rules_answers *a)
{
    if (t->node[n].op == RULES_OP_NAME)
        return rules_state_is_open(a->state[t->node[n].name]);
    return !peek_deep(t, n, a).settled;
}

/* The cheapest name below that is not settled; false: there is none. */
static bool ask_one(const struct rules_tree *t, uint32_t n, const struct rules_answers *a)
{
    const struct rules_node *node = t->node;
    uint32_t best = 0;

    if (node[n].op == RULES_OP_NAME) {
        a->ask(a->arg, node[n].name);
        return true;
    }
    for (uint32_t c = node[n].child; c != 0; c = node[c].next)
        if ((best == 0 || node[c].cost < node[best].cost) && is_open(t, c, a))
            best = c;
    return best != 0 && ask_one(t, best, a);
}

/* What its names come to is asked one by one, until the bounds decide. */
static struct rules_guess decide_bounds(const struct rules_tree *t, uint32_t n,
                                        const struct rules_answers *a)
{
    struct rules_guess g = peek(t, n, a);

    while (!g.settled && ask_one(t, n, a))
        g = peek(t, n, a);
    return g;
}

static struct rules_guess decide(const struct rules_tree *t, uint32_t n,
                                 const struct rules_answers *a)
{
    switch (t->node[n].op) {
    case RULES_OP_NAME:
        if (is_open(t, n, a))
            a->ask(a->arg, t->node[n].name);
        return peek_name(a, t->node[n].name);
    case RULES_OP_OR:
    case RULES_OP_AND:
        return decide_logic(t, n, a);
    case RULES_OP_NOT:
        return peek_not(decide(t, t->node[n].child, a));
    default:
        return decide_bounds(t, n, a);
    }
}

struct rules_value rules_tree_decide(const struct rules_tree *t, const struct rules_answers *a)
{
    struct rules_guess g = decide(t, t->top, a);

    return (struct rules_value){g.least, g.settled && g.known};
}

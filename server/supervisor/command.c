/* What an operator may ask of the supervisor, over admin: command.h. */
#include "command.h"
#include "json.h"
#include "supervisor_int.h"

static void status(struct supervisor *sup, struct pn_json *j)
{
    static const char *const states[] = {"off", "starting", "ready", "draining"};
    pn_json_i64(j, "generation", sup->now.serial);
    pn_json_array(j, "roles");
    for (const struct child *c = sup->children; c != NULL; c = c->next) {
        pn_json_object(j, NULL);
        pn_json_str(j, "name", pn_str_of(c->name));
        pn_json_str(j, "role", pn_str_of(pn_role_name(child_role(c))));
        pn_json_str(j, "state", pn_str_of(states[c->state]));
        pn_json_i64(j, "pid", c->pid);
        pn_json_i64(j, "deaths", c->fails);
        pn_json_object_end(j);
    }
    pn_json_array_end(j);
}

bool command_run(struct child *admin, struct pn_str body)
{
    struct supervisor *sup = admin->sup;
    struct pn_command command;
    struct pn_buf line, b;
    if (!pn_command_get(body, &command))
        return false;
    pn_buf_init(&line, PN_RECORD_MAX / 2);
    pn_buf_init(&b, PN_RECORD_MAX);
    struct pn_json j = pn_json_to(&line);
    struct pn_str word = command.words[0];
    bool reload = pn_str_eq(word, PN_STR("reload")), stop = pn_str_eq(word, PN_STR("stop"));
    bool known = reload || stop || pn_str_eq(word, PN_STR("status"));
    pn_json_object(&j, NULL);
    pn_json_bool(&j, "ok", known);
    if (!known)
        pn_json_str(&j, "error", PN_STR("the supervisor knows reload, stop and status"));
    else if (!reload && !stop)
        status(sup, &j);
    pn_json_object_end(&j);
    pn_command_reply_put(&b, &(struct pn_command_reply){
                                 .token = command.token, .last = true, .line = pn_buf_str(&line)});
    (void)child_send(admin, PN_REC_COMMAND_REPLY, &b, -1);
    pn_buf_fini(&b);
    pn_buf_fini(&line);
    if (reload)
        reload_begin(sup);
    if (stop)
        stop_begin(sup, 0);
    return true;
}

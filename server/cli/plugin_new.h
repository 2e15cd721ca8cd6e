/* The files of a new plugin: contrib/example-plugin as it stands in the tree, made by the
 * build. In them "example" stands for the plugin's name, "EXAMPLE" for the same in symbols. */
#ifndef PN_PLUGIN_NEW_H
#define PN_PLUGIN_NEW_H

#include "str.h"

struct pn_template {
    const char *file; /* NULL ends the list */
    const unsigned char *text;
    size_t len;
};
extern const struct pn_template pn_templates[];

#endif

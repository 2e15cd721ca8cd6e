/* The files of a new plugin: contrib/example-plugin as it stands in the tree, made by the
 * build. In them "example" stands for the plugin's name, "EXAMPLE" for the same in symbols. */
#ifndef PN_PLUGIN_NEW_H
#define PN_PLUGIN_NEW_H

#include "embedded.h"

extern const struct pn_embedded pn_templates[];

#endif

#ifndef PAIL_CYAML_H
#define PAIL_CYAML_H
#include <yaml.h>
#endif

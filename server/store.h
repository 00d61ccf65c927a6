/* The folder of stored layers, one file each. Everything goes through the one descriptor of the
 * folder and no link is followed. Other servers may share it: whoever changes something holds the
 * folder's lock, and a file appears whole or not at all. */
#pragma once
#include "api/api.h"

#include <sys/stat.h>

int store_open(const char *path, struct error *err); /* -1: err says why */

/* The lock, or -1: ERR_DEADLINE when stop was set before, ERR_INTERNAL when the folder is read-only.
 * close() ends it. What an upload that broke off has left is gone then. */
int store_lock(int dir, const atomic_bool *stop, struct error *err);

/* Is there a file of this name? */
bool store_find(int dir, const char *name, struct stat *file);
/* ERR_NOT_FOUND; ERR_TOO_LARGE when the arena has no room. */
bool store_read(int dir, const char *name, struct arena *arena, struct bytes *bytes,
                struct stat *file, struct error *err);
/* All of them, by name. */
bool store_list(int dir, struct arena *arena, struct layer_entry **entries, int *count,
                struct error *err);

/* With the lock held. What was written shows once it is put in its place; true only when the disk
 * has it. Without that, who has the lock next removes it. */
bool store_write(int dir, struct bytes bytes, struct stat *file, struct error *err);
bool store_place(int dir, const char *name, struct error *err);
bool store_remove(int dir, const char *name, struct error *err);
/* Renames what cannot be read, if it is still the same file. */
bool store_set_aside(int dir, const char *name, const struct stat *file);

/* The same file, and old enough that a change of it would have changed its time. */
bool store_same(const struct stat *was, const struct stat *is);

/* The layers in memory, and the handlers that change the folder. A file is looked at (stat) at each
 * use: one that another server has replaced or removed is noticed then. */
#include "server/layers.h"

#include "server/config.h"
#include "server/held.h"
#include "server/store.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct layers {
    const struct service *service;
    int dir;
    pthread_mutex_t lock; /* what follows */
    struct held *table;
    struct stat counted; /* the folder then */
    double count, bytes;
};

/* --- the table ---------------------------------------------------------------------------------- */

/* The table's: those of this name or, with NULL, all; or of these those that nobody uses. */
static void forget(struct layers *layers, const char *name, bool unused)
{
    struct held **at, *held;

    pthread_mutex_lock(&layers->lock);
    for (at = &layers->table; (held = *at);)
        if ((!name || !strcmp(held->name, name)) && (!unused || atomic_load(&held->users) == 1)) {
            *at = held->next;
            held_release(held);
        } else {
            at = &held->next;
        }
    pthread_mutex_unlock(&layers->lock);
}

static struct held *known(struct layers *layers, const char *name, const struct stat *file)
{
    struct held *held;

    pthread_mutex_lock(&layers->lock);
    for (held = layers->table; held && strcmp(held->name, name); held = held->next)
        continue;
    if (held && store_same(&held->file, file))
        atomic_fetch_add(&held->users, 1);
    else
        held = NULL;
    pthread_mutex_unlock(&layers->lock);
    return held;
}

/* The file as it is now goes into scratch, the layer into held's own arena. */
static bool read_layer(struct layers *layers, struct held *held, struct arena *scratch,
                       struct error *err)
{
    struct bytes bytes;

    if (!store_read(layers->dir, held->name, scratch, &bytes, &held->file, err))
        return false;
    if (stored_read(bytes, &layers->service->limits, held->arena, &held->stored, err))
        return true;
    if (err->code == ERR_TOO_LARGE || err->code == ERR_BUSY) /* memory */
        return false;
    log_say(&layers->service->log, LOG_ERROR, "layer %s: %s: %s", held->name,
            store_set_aside(layers->dir, held->name, &held->file) ? "set aside as NAME.damaged"
                                                                  : "not used",
            err->detail);
    return fail(err, ERR_NOT_FOUND, "", "the layer %s is damaged; it was set aside, PUT it again",
                held->name);
}

/* A layer of one user, in no table. */
static struct held *load(struct layers *layers, const char *name, struct error *err)
{
    const struct service *service = layers->service;
    struct arena *scratch = arena_create_cached(service->limits.memory, service->memory);
    struct held *held = held_create(name, service->limits.memory, service->memory);
    bool done = scratch && held && held->arena ? read_layer(layers, held, scratch, err)
                                               : exchange_starved(err);

    if (!done && held && err->code == ERR_TOO_LARGE &&
        (arena_starved(scratch) || arena_starved(held->arena)))
        exchange_starved(err);
    arena_destroy(scratch);
    if (done)
        return held;
    held_release(held);
    return NULL;
}

static struct held *take(struct layers *layers, const char *name, struct error *err)
{
    struct stat file;
    struct held *held = NULL;

    if (!stored_name_check(name, err) || !store_find(layers->dir, name, &file)) {
        fail(err, ERR_NOT_FOUND, "", "there is no layer %.64s; GET /layers lists them", name);
        forget(layers, name, false);
        return NULL;
    }
    held = known(layers, name, &file);
    if (held)
        return held;
    forget(layers, name, false);
    held = load(layers, name, err);
    if (!held && err->code == ERR_BUSY) {
        forget(layers, NULL, true); /* those that nobody uses make room */
        held = load(layers, name, err);
    }
    if (!held)
        return NULL;
    atomic_fetch_add(&held->users, 1);
    pthread_mutex_lock(&layers->lock);
    held->next = layers->table;
    layers->table = held;
    pthread_mutex_unlock(&layers->lock);
    return held;
}

const struct stored *layers_find(void *arg, const char *name, struct error *err)
{
    struct exchange *exchange = arg;

    if (!exchange->held)
        exchange->held = take(exchange->service->layers, name, err);
    return exchange->held ? exchange->held->stored : NULL;
}

/* --- open and close ---------------------------------------------------------------------------- */

/* Every file, one after the other, out of memory again: damage is found now, not at its use. */
static bool verify(struct layers *layers, struct error *err)
{
    struct arena *arena = arena_create(layers->service->limits.memory);
    struct layer_entry *entries;
    int count = 0, good = 0;
    bool done =
        arena ? store_list(layers->dir, arena, &entries, &count, err) : exchange_starved(err);

    for (int i = 0; done && i < count; i++) {
        struct held *held = load(layers, entries[i].name, err);

        good += held != NULL;
        if (!held)
            log_say(&layers->service->log, LOG_WARNING, "layer %s: %s", entries[i].name,
                    err->detail);
        held_release(held);
    }
    arena_destroy(arena);
    if (done)
        log_say(&layers->service->log, LOG_INFO, "%d of %d layers are whole", good, count);
    return done;
}

struct layers *layers_open(const struct service *service, struct error *err)
{
    static const atomic_bool now = true;
    struct layers *layers = calloc(1, sizeof *layers);
    struct error read_only;
    int lock;

    if (!layers) {
        fail(err, ERR_INTERNAL, "layers", "out of memory");
        return NULL;
    }
    layers->service = service;
    pthread_mutex_init(&layers->lock, NULL);
    layers->dir = store_open(service->config->layers, err);
    if (layers->dir >= 0) {
        lock = store_lock(layers->dir, &now, &read_only); /* which removes a crash's temporary */
        if (lock >= 0)
            close(lock);
        if (verify(layers, err))
            return layers;
    }
    layers_close(layers);
    return NULL;
}

void layers_close(struct layers *layers)
{
    if (!layers)
        return;
    forget(layers, NULL, false);
    if (layers->dir >= 0)
        close(layers->dir);
    pthread_mutex_destroy(&layers->lock);
    free(layers);
}

int layers_find_folder(const struct layers *layers, struct error *err)
{
    return store_open(layers->service->config->layers, err);
}

static void verify_again(void *arg)
{
    struct error err;

    if (!verify(arg, &err))
        log_say(&((struct layers *)arg)->service->log, LOG_ERROR, "SIGHUP: %s", err.detail);
}

/* The descriptor keeps its number, so that nobody is disturbed who works with it. */
void layers_use_folder(struct layers *layers, int folder)
{
    dup3(folder, layers->dir, O_CLOEXEC);
    close(folder);
    forget(layers, NULL, false);
    if (!pool_submit(layers->service->pool, verify_again, layers))
        log_say(&layers->service->log, LOG_WARNING, "SIGHUP: too busy to check the layers now");
}

/* --- what the folder has ---------------------------------------------------------------------- */

static bool totals(struct layers *layers, struct arena *arena, double *count, double *bytes,
                   struct error *err)
{
    struct layer_entry *entries;
    int found;

    *count = *bytes = 0;
    if (!store_list(layers->dir, arena, &entries, &found, err))
        return false;
    *count = found;
    for (int i = 0; i < found; i++)
        *bytes += (double)entries[i].bytes;
    return true;
}

/* Counted again when the folder has changed. */
void layers_count(struct layers *layers, double *count, double *bytes)
{
    struct arena *arena = NULL;
    struct stat folder;
    struct error err;

    pthread_mutex_lock(&layers->lock);
    if (!fstat(layers->dir, &folder) && !store_same(&layers->counted, &folder) &&
        (arena = arena_create(layers->service->limits.memory)) &&
        totals(layers, arena, &layers->count, &layers->bytes, &err))
        layers->counted = folder;
    *count = layers->count;
    *bytes = layers->bytes;
    pthread_mutex_unlock(&layers->lock);
    arena_destroy(arena);
}

/* --- handlers --------------------------------------------------------------------------------- */

static bool kept(const struct exchange *exchange, struct error *err)
{
    return exchange->service->layers ||
           fail(err, ERR_NOT_FOUND, "", "this server keeps no layers; start it with --layers DIR");
}

static const char *name_of(const struct exchange *exchange)
{
    return exchange->in.path + strlen("/layers/");
}

static bool answer_list(struct exchange *exchange, __typeof__(layers_encode) *encode,
                        struct error *err)
{
    struct layer_entry *entries = NULL;
    int count = 0;

    return (!exchange->service->layers ||
            store_list(exchange->service->layers->dir, exchange->arena, &entries, &count, err)) &&
           encode(entries, count, exchange->arena, &exchange->out, err);
}

bool layers_list(struct exchange *exchange, struct error *err)
{
    return kept(exchange, err) && answer_list(exchange, layers_encode, err);
}

bool layers_models(struct exchange *exchange, struct error *err)
{
    return answer_list(exchange, models_encode, err);
}

static bool answer_layer(struct exchange *exchange, const struct stored *stored,
                         const struct stat *file, struct error *err)
{
    struct layer_entry entry = { .bytes = (size_t)file->st_size, .updated = file->st_mtim.tv_sec };

    snprintf(entry.name, sizeof entry.name, "%s", name_of(exchange));
    if (!stored_encode(stored, &entry, exchange->arena, &exchange->out, err))
        return false;
    snprintf(exchange->etag, sizeof exchange->etag, "\"%s\"", stored_digest(stored));
    return true;
}

/* Is the tag among those of a header? */
static bool has_tag(const char *header, const struct stored *stored)
{
    return !strcmp(header, "*") || strstr(header, stored_digest(stored));
}

bool layers_show(struct exchange *exchange, struct error *err)
{
    if (!kept(exchange, err) || !layers_find(exchange, name_of(exchange), err) ||
        !answer_layer(exchange, exchange->held->stored, &exchange->held->file, err))
        return false;
    if (has_tag(exchange->if_none_match, exchange->held->stored))
        reply_set(&exchange->out, 304, NULL, (struct bytes){ "", 0 });
    return true;
}

/* With the folder's lock held, so that what is true now is true when the file changes. */
static bool check_conditions(struct exchange *exchange, bool exists, struct error *err)
{
    const char *match = exchange->if_match, *none = exchange->if_none_match;
    const struct stored *stored = NULL;

    if (!*match && !*none)
        return true;
    if (exists)
        stored = layers_find(exchange, name_of(exchange), err);
    if (*match && (!stored || !has_tag(match, stored)))
        return fail(err, ERR_PRECONDITION, "",
                    "If-Match names another layer than the %s that is there; GET it, then decide",
                    stored ? "one" : "none");
    if (*none && stored && has_tag(none, stored))
        return fail(err, ERR_PRECONDITION, "",
                    "there is a layer %s already (If-None-Match); choose another name, or leave "
                    "the header out to replace it",
                    name_of(exchange));
    return true;
}

static bool check_room(struct exchange *exchange, const struct stat *old, size_t size,
                       struct error *err)
{
    const struct config *config = exchange->service->config;
    double count, bytes;

    if (!totals(exchange->service->layers, exchange->arena, &count, &bytes, err))
        return false;
    if (!old && count >= (double)config->max_layers)
        return fail(err, ERR_TOO_LARGE, "",
                    "there are %.0f layers already and --max-layers is %zu; delete one", count,
                    config->max_layers);
    bytes += (double)size - (old ? (double)old->st_size : 0);
    return bytes <= (double)config->max_layers_bytes ||
           fail(err, ERR_TOO_LARGE, "",
                "all layers together would have %.0f bytes and --max-layers-bytes is %zu; delete "
                "some, or send a smaller one",
                bytes, config->max_layers_bytes);
}

bool layers_put(struct exchange *exchange, struct error *err)
{
    const struct service *service = exchange->service;
    const struct stored *stored;
    struct bytes bytes;
    struct stat old, file;
    bool exists, done;
    int lock;

    if (!kept(exchange, err) || !stored_name_check(name_of(exchange), err) ||
        !stored_decode(&exchange->in, &service->limits, exchange->arena, &stored, &bytes, err))
        return false;
    lock = store_lock(service->layers->dir, &exchange->stop, err);
    if (lock < 0)
        return false;
    exists = store_find(service->layers->dir, name_of(exchange), &old);
    done = check_conditions(exchange, exists, err) &&
           check_room(exchange, exists ? &old : NULL, bytes.size, err) &&
           store_write(service->layers->dir, bytes, &file, err) &&
           answer_layer(exchange, stored, &file, err) && /* before there is no way back */
           store_place(service->layers->dir, name_of(exchange), err);
    close(lock);
    if (done)
        exchange->out.status = exists ? 200 : 201;
    return done;
}

bool layers_delete(struct exchange *exchange, struct error *err)
{
    struct layers *layers = exchange->service->layers;
    struct stat file;
    bool done;
    int lock;

    if (!kept(exchange, err) || !stored_name_check(name_of(exchange), err))
        return false;
    lock = store_lock(layers->dir, &exchange->stop, err);
    if (lock < 0)
        return false;
    done = store_find(layers->dir, name_of(exchange), &file) ||
           fail(err, ERR_NOT_FOUND, "", "there is no layer %s; GET /layers lists them",
                name_of(exchange));
    done = done && check_conditions(exchange, true, err) &&
           store_remove(layers->dir, name_of(exchange), err);
    close(lock);
    if (done)
        reply_set(&exchange->out, 204, NULL, (struct bytes){ "", 0 });
    return done;
}

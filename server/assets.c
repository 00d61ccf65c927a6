/* The assembler copies each file in, as it is and compressed: no generator, no generated source. */
#include "server/assets.h"

#include "server/config.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define ASSET(name, path, folder, file, type)                                                      \
    EMBED(asset_##name, folder "/" file);                                                          \
    EMBED(asset_##name##_gz, WEB "/" file ".gz");
#include "server/assets.def"
EMBED(asset_tag, WEB "/tag");

struct asset {
    const char *path, *folder, *file, *type;
    struct {
        const char *start, *end;
    } plain, gzip;
};

static const struct asset assets[] = {
#define ASSET(name, path, folder, file, type)                                                      \
    { path,                                                                                        \
      folder,                                                                                      \
      file,                                                                                        \
      type,                                                                                        \
      { asset_##name##_start, asset_##name##_end },                                                \
      { asset_##name##_gz_start, asset_##name##_gz_end } },
#include "server/assets.def"
};

static const struct asset *asset_find(const char *path)
{
    for (size_t i = 0; i < sizeof assets / sizeof *assets; i++)
        if (!strcmp(path, assets[i].path))
            return &assets[i];
    return NULL;
}

/* A list of names, each with parameters that nobody uses but q=0. */
static bool list_has(const char *list, const char *name)
{
    size_t size = strlen(name);
    const char *end, *q;

    for (; *list; list = *end ? end + 1 : end) {
        list += strspn(list, " \t");
        end = list + strcspn(list, ",");
        if (strncasecmp(list, name, size) || !strchr(" \t;,", list[size]))
            continue;
        q = memmem(list, (size_t)(end - list), "q=", 2);
        return !q || strtod(q + 2, NULL) > 0;
    }
    return false;
}

bool asset_wants_page(const struct exchange *exchange)
{
    return !exchange->service->config->no_ui && list_has(exchange->in.accept, "text/html");
}

static void write_tag(char *text, size_t size, bool gzip)
{
    snprintf(text, size, "\"%.16s%s\"", asset_tag_start, gzip ? "-gz" : "");
}

/* --ui-dir: the file as it is now, so that an editor's save is seen by the browser's next load. */
static bool read_asset(struct exchange *exchange, const struct asset *asset, const char *folder,
                       struct error *err)
{
    char path[1024], *data = NULL;
    off_t size = -1;
    int file = -1;

    if (snprintf(path, sizeof path, "%s/%s", folder, asset->file) < (int)sizeof path)
        file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file >= 0)
        size = lseek(file, 0, SEEK_END);
    if (size >= 0)
        data = arena_alloc(exchange->arena, (size_t)size + 1, 1);
    if (data && pread(file, data, (size_t)size, 0) != size)
        data = NULL;
    if (file >= 0)
        close(file);
    if (!data)
        return fail(err, ERR_NOT_FOUND, "", "--ui-dir has no readable %s", asset->file);
    exchange->asset = asset;
    reply_set(&exchange->out, 200, asset->type, (struct bytes){ data, (size_t)size });
    return true;
}

bool asset_answer(struct exchange *exchange, struct error *err)
{
    const struct config *config = exchange->service->config;
    const struct asset *asset = asset_find(exchange->in.path);
    char tag[64];

    if (!asset || (config->no_ui && strcmp(asset->folder, "api")))
        return fail(err, ERR_NOT_FOUND, "", "there is nothing at %.64s; GET / lists what there is",
                    exchange->in.path);
    if (*config->ui_dir && strcmp(asset->folder, "api"))
        return read_asset(exchange, asset, config->ui_dir, err);
    exchange->asset = asset;
    exchange->gzip = list_has(exchange->accept_encoding, "gzip");
    write_tag(tag, sizeof tag, exchange->gzip);
    if (strstr(exchange->if_none_match, tag) || !strcmp(exchange->if_none_match, "*"))
        reply_set(&exchange->out, 304, NULL, (struct bytes){ "", 0 });
    else if (exchange->gzip)
        reply_set(
            &exchange->out, 200, asset->type,
            (struct bytes){ asset->gzip.start, (size_t)(asset->gzip.end - asset->gzip.start) });
    else
        reply_set(
            &exchange->out, 200, asset->type,
            (struct bytes){ asset->plain.start, (size_t)(asset->plain.end - asset->plain.start) });
    return true;
}

void asset_headers(const struct exchange *exchange,
                   void (*add)(void *arg, const char *name, const char *value), void *arg)
{
    bool fresh = !*exchange->service->config->ui_dir || !strcmp(exchange->asset->folder, "api");
    char tag[64];

    write_tag(tag, sizeof tag, exchange->gzip);
    if (fresh)
        add(arg, "ETag", tag);
    if (exchange->gzip && exchange->out.body.size)
        add(arg, "Content-Encoding", "gzip");
    add(arg, "Cache-Control", "no-cache"); /* kept, but asked about each time: 304 */
    add(arg, "Vary", "Accept-Encoding");
    add(arg, "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'");
    add(arg, "Referrer-Policy", "no-referrer");
}

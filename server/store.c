/* Files appear by rename: written beside, fsync'ed, renamed, the folder fsync'ed. There is one
 * temporary, since its writer holds the lock; found by another holder it is what a crash left. */
#include "server/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

static const char ending[] = ".safetensors", aside[] = ".damaged";
static const char lock_name[] = ".lock", temporary[] = ".upload"; /* no layer begins with a dot */
enum {
    FILE_NAME = STORED_NAME + sizeof ending,
    LOCK_MS = 2,   /* between two tries */
    FRESH_MS = 50, /* coarser than any clock of file times */
    MODE = 0644
};

static bool cannot(struct error *err, const char *what)
{
    bool full = errno == ENOSPC || errno == EDQUOT || errno == ENOMEM;

    return fail(err, full ? ERR_BUSY : ERR_INTERNAL, "", "cannot %s the layer's file: %s", what,
                strerror(errno));
}

static const char *file_name(char *text, const char *name)
{
    snprintf(text, FILE_NAME, "%s%s", name, ending);
    return text;
}

int store_open(const char *path, struct error *err)
{
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (dir < 0)
        fail(err, ERR_PARAMETER, "layers", "--layers %s: %s; it must be a folder that is there",
             path, strerror(errno));
    return dir;
}

int store_lock(int dir, const atomic_bool *stop, struct error *err)
{
    const struct timespec pause = { 0, LOCK_MS * 1000000L };
    int lock = openat(dir, lock_name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, MODE);

    if (lock < 0)
        return cannot(err, "lock"), -1;
    while (flock(lock, LOCK_EX | LOCK_NB)) {
        if (atomic_load(stop) || (errno != EWOULDBLOCK && errno != EINTR)) {
            fail(err, atomic_load(stop) ? ERR_DEADLINE : ERR_INTERNAL, "",
                 "cannot lock the folder of layers: %s", strerror(errno));
            close(lock);
            return -1;
        }
        nanosleep(&pause, NULL);
    }
    unlinkat(dir, temporary, 0);
    return lock;
}

bool store_find(int dir, const char *name, struct stat *file)
{
    char text[FILE_NAME];

    return !fstatat(dir, file_name(text, name), file, AT_SYMLINK_NOFOLLOW) &&
           S_ISREG(file->st_mode);
}

bool store_same(const struct stat *was, const struct stat *is)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return was->st_ino == is->st_ino && was->st_size == is->st_size &&
           was->st_mtim.tv_sec == is->st_mtim.tv_sec &&
           was->st_mtim.tv_nsec == is->st_mtim.tv_nsec &&
           (double)(now.tv_sec - is->st_mtim.tv_sec) * 1e3 +
                   (double)(now.tv_nsec - is->st_mtim.tv_nsec) * 1e-6 >
               FRESH_MS;
}

/* --- reading --------------------------------------------------------------------------------- */

static bool read_all(int fd, size_t size, struct arena *arena, struct bytes *bytes,
                     struct error *err)
{
    char *data = arena_zeroed(arena, size + (size_t)2 * BODY_SLACK, 1);
    size_t done = 0;
    ssize_t got = 0;

    if (!data)
        return fail(err, ERR_TOO_LARGE, "layer", "the layer's %zu bytes do not fit the memory",
                    size);
    data += BODY_SLACK;
    while (done < size &&
           ((got = read(fd, data + done, size - done)) > 0 || (got < 0 && errno == EINTR)))
        done += got > 0 ? (size_t)got : 0;
    *bytes = (struct bytes){ data, done }; /* less than size: not whole, as its digest will tell */
    return got >= 0 || cannot(err, "read");
}

bool store_read(int dir, const char *name, struct arena *arena, struct bytes *bytes,
                struct stat *file, struct error *err)
{
    char text[FILE_NAME];
    int fd = openat(dir, file_name(text, name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    bool done;

    if (fd < 0 || fstat(fd, file) || !S_ISREG(file->st_mode))
        done = fail(err, ERR_NOT_FOUND, "", "there is no layer %s; GET /layers lists them", name);
    else
        done = read_all(fd, (size_t)file->st_size, arena, bytes, err);
    if (fd >= 0)
        close(fd);
    return done;
}

/* The layer's name when the entry is one. */
static bool is_layer(int dir, const char *text, struct layer_entry *entry)
{
    size_t size = strlen(text), name = size - (sizeof ending - 1);
    struct stat file;
    struct error err;

    if (size < sizeof ending || name > STORED_NAME || strcmp(text + name, ending))
        return false;
    *entry = (struct layer_entry){ 0 };
    memcpy(entry->name, text, name);
    if (!stored_name_check(entry->name, &err) || !store_find(dir, entry->name, &file))
        return false;
    entry->bytes = (size_t)file.st_size;
    entry->updated = file.st_mtim.tv_sec;
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct layer_entry *)a)->name, ((const struct layer_entry *)b)->name);
}

bool store_list(int dir, struct arena *arena, struct layer_entry **entries, int *count,
                struct error *err)
{
    int again = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* a place of its own */
    DIR *folder = again < 0 ? NULL : fdopendir(again);
    struct layer_entry one;
    const struct dirent *at;
    int room = 0;

    *count = 0;
    if (!folder) {
        if (again >= 0)
            close(again);
        return cannot(err, "list the folder of");
    }
    while ((at = readdir(folder)))
        room += is_layer(dir, at->d_name, &one);
    rewinddir(folder);
    *entries = arena_new(arena, struct layer_entry, (size_t)room);
    while (*entries && *count < room && (at = readdir(folder)))
        *count += is_layer(dir, at->d_name, &(*entries)[*count]);
    closedir(folder);
    if (!*entries)
        return fail(err, ERR_TOO_LARGE, "", "there is no memory for the list");
    qsort(*entries, (size_t)*count, sizeof **entries, by_name);
    return true;
}

/* --- changing -------------------------------------------------------------------------------- */

static bool write_all(int fd, struct bytes bytes)
{
    while (bytes.size) {
        ssize_t wrote = write(fd, bytes.data, bytes.size);

        if (wrote < 0 && errno != EINTR)
            return false;
        bytes.data += wrote > 0 ? wrote : 0;
        bytes.size -= wrote > 0 ? (size_t)wrote : 0;
    }
    return true;
}

bool store_write(int dir, struct bytes bytes, struct stat *file, struct error *err)
{
    int fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, MODE);
    bool done = fd >= 0 && write_all(fd, bytes) && !fsync(fd) && !fstat(fd, file);

    if (!done) {
        cannot(err, "write");
        unlinkat(dir, temporary, 0);
    }
    if (fd >= 0)
        close(fd);
    return done;
}

bool store_place(int dir, const char *name, struct error *err)
{
    char text[FILE_NAME];

    if (!renameat(dir, temporary, dir, file_name(text, name)) && !fsync(dir))
        return true;
    cannot(err, "write");
    unlinkat(dir, temporary, 0);
    return false;
}

bool store_remove(int dir, const char *name, struct error *err)
{
    char text[FILE_NAME];

    return (!unlinkat(dir, file_name(text, name), 0) && !fsync(dir)) || cannot(err, "remove");
}

bool store_set_aside(int dir, const char *name, const struct stat *file)
{
    const atomic_bool now = true; /* who holds the lock may be mending this very file */
    char from[FILE_NAME], to[FILE_NAME + sizeof aside];
    struct stat is;
    struct error err;
    int lock = store_lock(dir, &now, &err);
    bool done;

    if (lock < 0)
        return false;
    snprintf(to, sizeof to, "%s%s", name, aside);
    done = store_find(dir, name, &is) && is.st_ino == file->st_ino && is.st_size == file->st_size &&
           is.st_mtim.tv_nsec == file->st_mtim.tv_nsec &&
           !renameat(dir, file_name(from, name), dir, to);
    close(lock);
    return done;
}

/* Preloaded into the daemon: its malloc, calloc, realloc, aligned_alloc, mmap and pthread_create fail
 * when the torturer says so, and blocks are counted. The real ones are glibc's by their inner
 * names, since dlsym itself allocates. */
#include "tests/torture/control.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t align, size_t size);
void __libc_free(void *memory);

static struct control *control;

__attribute__((constructor)) static void attach(void)
{
    const char *fd = getenv(CONTROL_VARIABLE);
    void *shared = (void *)syscall(SYS_mmap, NULL, sizeof *control, PROT_READ | PROT_WRITE,
                                   MAP_SHARED, fd ? atoi(fd) : -1, 0);

    if (shared != MAP_FAILED)
        control = shared;
}

static bool fails(void)
{
    long call;

    if (!control)
        return false;
    call = atomic_fetch_add(&control->calls, 1);
    if (call < atomic_load(&control->from) || call >= atomic_load(&control->until))
        return false;
    atomic_fetch_add(&control->failed, 1);
    errno = ENOMEM;
    return true;
}

static void *counted(void *memory)
{
    if (control && memory)
        atomic_fetch_add(&control->live, 1);
    return memory;
}

/* OpenBLAS asks for ever for the buffer that it cannot get (core/engine.h, blas_has_room), and does
 * not look whether it got its small ones: core looks before it calls it. */
static bool spares(const void *caller)
{
    Dl_info from;

    return dladdr(caller, &from) && from.dli_fname && strstr(from.dli_fname, "openblas");
}

void *malloc(size_t size)
{
    return fails() && !spares(__builtin_return_address(0)) ? NULL : counted(__libc_malloc(size));
}

void *calloc(size_t count, size_t size)
{
    return fails() ? NULL : counted(__libc_calloc(count, size));
}

void *realloc(void *memory, size_t size)
{
    void *moved = fails() ? NULL : __libc_realloc(memory, size);

    return memory ? moved : counted(moved);
}

void *aligned_alloc(size_t align, size_t size)
{
    return fails() ? NULL : counted(__libc_memalign(align, size));
}

void *memalign(size_t align, size_t size)
{
    return aligned_alloc(align, size);
}

int posix_memalign(void **memory, size_t align, size_t size)
{
    void *room = aligned_alloc(align, size);

    if (room)
        *memory = room;
    return room ? 0 : ENOMEM;
}

void free(void *memory)
{
    if (control && memory)
        atomic_fetch_sub(&control->live, 1);
    __libc_free(memory);
}

void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    return !spares(__builtin_return_address(0)) && fails()
               ? MAP_FAILED
               : (void *)syscall(SYS_mmap, at, size, protection, flags, fd, offset);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*run)(void *), void *arg)
{
    __typeof__(pthread_create) *real;

    if (fails())
        return EAGAIN;
    *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
    return real(thread, how, run, arg);
}

/* Preloaded into a process, lets its k-th write below a folder fail as on a full disk.

   Counted are the calls that put bytes into files, whoever makes them: Python, Arrow,
   safetensors. fail_at(folder, 0) only counts. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static char below[4096];
static size_t length;
static long wanted, seen;

void fail_at(const char *folder, long k) {
    length = strlen(folder);
    memcpy(below, folder, length + 1);
    wanted = k;
    seen = 0;
}

long writes_seen(void) { return seen; }

static int fails(int file) {
    char link[64], path[4096];
    if (length == 0) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t size = readlink(link, path, sizeof path);
    if (size < (ssize_t)length || memcmp(path, below, length) != 0) return 0;
    if (__atomic_add_fetch(&seen, 1, __ATOMIC_SEQ_CST) != wanted) return 0;
    errno = ENOSPC;
    return 1;
}

#define WRITER(name, arguments, call)                                          \
    ssize_t name arguments {                                                   \
        static ssize_t(*real) arguments;                                       \
        if (!real) real = (ssize_t(*) arguments)dlsym(RTLD_NEXT, #name);       \
        return fails(file) ? -1 : real call;                                   \
    }

WRITER(write, (int file, const void *bytes, size_t count), (file, bytes, count))
WRITER(writev, (int file, const struct iovec *parts, int count), (file, parts, count))
WRITER(pwrite, (int file, const void *bytes, size_t count, off_t at), (file, bytes, count, at))
WRITER(pwrite64, (int file, const void *bytes, size_t count, off64_t at), (file, bytes, count, at))
WRITER(sendfile, (int file, int from, off_t *at, size_t count), (file, from, at, count))
WRITER(sendfile64, (int file, int from, off64_t *at, size_t count), (file, from, at, count))
WRITER(copy_file_range, (int from, off64_t *in, int file, off64_t *out, size_t count, unsigned how),
       (from, in, file, out, count, how))

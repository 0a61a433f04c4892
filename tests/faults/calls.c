/* Lets one file-system call inside a directory fail. Loaded by LD_PRELOAD; see calls.py. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static char root[4096];
static char failed[4200];
static int error;
static int target;
static atomic_int count;

/* Counts the calls inside `directory`, and lets call `n` fail with `code`; 0 only counts. */
void fault_arm(const char *directory, int n, int code) {
    snprintf(root, sizeof root, "%s", directory);
    failed[0] = 0;
    error = code;
    target = n;
    count = 0;
}

int fault_count(void) { return count; }

const char *fault_failed(void) { return failed; }

/* Returns 1 if this call has to fail. Calls that need no space do not count for ENOSPC. */
static int fails(const char *name, int needs_space, const char *path, int fd) {
    char link[64], folder[4096], full[8300];
    if (!root[0] || (error == ENOSPC && !needs_space)) return 0;
    full[0] = 0;
    if (!path || path[0] != '/') {
        if (fd == AT_FDCWD) snprintf(link, sizeof link, "/proc/self/cwd");
        else snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t size = readlink(link, folder, sizeof folder - 1);
        if (size < 0) return 0;
        folder[size] = 0;
        snprintf(full, sizeof full, "%s%s%s", folder, path ? "/" : "", path ? path : "");
    } else {
        snprintf(full, sizeof full, "%s", path);
    }
    if (strncmp(full, root, strlen(root))) return 0;
    if (atomic_fetch_add(&count, 1) + 1 != target) return 0;
    snprintf(failed, sizeof failed, "%s %.4000s", name, full + strlen(root));
    errno = error;
    return 1;
}

#define NEXT(type, name) ((type)dlsym(RTLD_NEXT, name))

#define OPEN(name)                                                        \
    int name(const char *path, int flags, ...) {                          \
        va_list more;                                                     \
        va_start(more, flags);                                            \
        int mode = va_arg(more, int);                                     \
        va_end(more);                                                     \
        if (fails(#name, flags & O_CREAT, path, AT_FDCWD)) return -1;     \
        return NEXT(int (*)(const char *, int, int), #name)(path, flags, mode); \
    }

#define OPENAT(name)                                                      \
    int name(int fd, const char *path, int flags, ...) {                  \
        va_list more;                                                     \
        va_start(more, flags);                                            \
        int mode = va_arg(more, int);                                     \
        va_end(more);                                                     \
        if (fails(#name, flags & O_CREAT, path, fd)) return -1;           \
        return NEXT(int (*)(int, const char *, int, int), #name)(fd, path, flags, mode); \
    }

/* A call: its result, name, whether it needs space, path, file, parameters and arguments. */
#define CALL(result, name, space, path, fd, parameters, arguments)        \
    result name parameters {                                              \
        if (fails(#name, space, path, fd)) return -1;                     \
        return NEXT(result (*) parameters, #name) arguments;              \
    }

OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)
CALL(int, mkdir, 1, path, AT_FDCWD, (const char *path, mode_t mode), (path, mode))
CALL(int, mkdirat, 1, path, fd, (int fd, const char *path, mode_t mode), (fd, path, mode))
CALL(int, rename, 1, from, AT_FDCWD, (const char *from, const char *to), (from, to))
CALL(int, renameat, 1, from, fd, (int fd, const char *from, int at, const char *to), (fd, from, at, to))
CALL(int, link, 1, from, AT_FDCWD, (const char *from, const char *to), (from, to))
CALL(int, unlink, 0, path, AT_FDCWD, (const char *path), (path))
CALL(int, unlinkat, 0, path, fd, (int fd, const char *path, int flags), (fd, path, flags))
CALL(int, rmdir, 0, path, AT_FDCWD, (const char *path), (path))
CALL(ssize_t, read, 0, NULL, fd, (int fd, void *data, size_t size), (fd, data, size))
CALL(ssize_t, pread64, 0, NULL, fd, (int fd, void *data, size_t size, off_t at), (fd, data, size, at))
CALL(ssize_t, pread, 0, NULL, fd, (int fd, void *data, size_t size, off_t at), (fd, data, size, at))
CALL(ssize_t, write, 1, NULL, fd, (int fd, const void *data, size_t size), (fd, data, size))
CALL(ssize_t, writev, 1, NULL, fd, (int fd, const struct iovec *parts, int n), (fd, parts, n))
CALL(ssize_t, pwrite, 1, NULL, fd, (int fd, const void *data, size_t size, off_t at), (fd, data, size, at))
CALL(ssize_t, pwrite64, 1, NULL, fd, (int fd, const void *data, size_t size, off_t at), (fd, data, size, at))
CALL(ssize_t, pwritev, 1, NULL, fd, (int fd, const struct iovec *parts, int n, off_t at), (fd, parts, n, at))
CALL(int, ftruncate, 1, NULL, fd, (int fd, off_t size), (fd, size))
CALL(int, ftruncate64, 1, NULL, fd, (int fd, off_t size), (fd, size))
CALL(int, fsync, 1, NULL, fd, (int fd), (fd))
CALL(int, fdatasync, 1, NULL, fd, (int fd), (fd))

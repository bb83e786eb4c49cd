/* Stands between a process and its disk (LD_PRELOAD), for tests of crashes, power cuts and failing disks.
 *
 * Every call that changes something under $SHIM_ROOT is a point: numbered, named in the log, and then done, failed or
 * never reached. It sees what any library does (SQLite, Python, ours), so no write can be forgotten by a test's author.
 * The control block is a file that the test maps, too; fields are little-endian 64-bit integers, in this order.
 *
 *   points    how many were passed            (written here)
 *   matched   how many of them since the rule was set fit its pattern (written here)
 *   kill_at   die before this one of them; 0 never
 *   fail_at   the first of them that fails; 0 never
 *   fail_to   the last one
 *   error     errno of a failure
 *   torn      when dying at a write: first write half of it
 *   full      only what takes room fails (create, write, mkdir, link, rename), as on a full disk
 *   failures  how many points failed          (written here)
 *   word      the next 128 bytes: a pattern for the line "action /path" of a point; empty for any
 *
 * What survives a power cut is kept in $SHIM_SHADOW: at each sync of a file its whole content as `f<inode>`, at each
 * sync of a folder its names as `d<inode>`. A sync of a path that contains one of the words of $SHIM_UNSYNCED, a list
 * with colons, is passed over as if it had been taken out of the program. Inodes must not be used twice: tmpfs.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { POINTS, MATCHED, KILL_AT, FAIL_AT, FAIL_TO, ERROR, TORN, FULL, FAILURES, FIELDS };
enum { PATTERN_BYTES = 128 };

static volatile int64_t *control;
static const char *root, *shadow, *unsynced;
static int log_fd = -1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void begin(void) {
    const char *file = getenv("SHIM_CONTROL"), *said = getenv("SHIM_LOG");
    root = getenv("SHIM_ROOT");
    shadow = getenv("SHIM_SHADOW");
    unsynced = getenv("SHIM_UNSYNCED");
    if (file == NULL || root == NULL) return;
    int fd = syscall(SYS_openat, AT_FDCWD, file, O_RDWR | O_CLOEXEC, 0);
    if (fd < 0) return;
    void *mapped = mmap(NULL, FIELDS * sizeof(int64_t) + PATTERN_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    if (mapped == MAP_FAILED) return;
    if (said != NULL) log_fd = syscall(SYS_openat, AT_FDCWD, said, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    unsetenv("LD_PRELOAD"); /* its children are other processes with other fates */
    control = mapped;
}

static int is_ours(const char *path) { return path != NULL && strncmp(path, root, strlen(root)) == 0; }

static int path_of(int fd, char *path) {
    char link[40];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
    if (size < 0) return 0;
    path[size] = 0;
    return path[0] == '/' && is_ours(path);
}

static void absolute(int folder, const char *path, char *full) {
    full[0] = 0;
    if (path == NULL) return;
    if (path[0] == '/') snprintf(full, PATH_MAX, "%s", path);
    else if (folder != AT_FDCWD) {
        if (!path_of(folder, full)) full[0] = 0;
        else snprintf(full + strlen(full), PATH_MAX - strlen(full), "/%s", path);
    } else if (getcwd(full, PATH_MAX) != NULL)
        snprintf(full + strlen(full), PATH_MAX - strlen(full), "/%s", path);
}

/* A point: 0 to go on, else the errno to fail with. Whoever is to die never returns, and nobody passes it. */
static int point(const char *action, const char *path, int fd, const void *data, size_t size, off_t at) {
    int failure = 0;
    pthread_mutex_lock(&lock);
    char line[PATH_MAX + 64];
    int length = snprintf(line, sizeof line, "%s %s", action, path + strlen(root));
    const char *pattern = (const char *)(control + FIELDS);
    int64_t number = *pattern == 0 || fnmatch(pattern, line, 0) == 0 ? ++control[MATCHED] : -1;
    control[POINTS]++;
    line[length] = '\n';
    if (log_fd >= 0) syscall(SYS_write, log_fd, line, length + 1);
    if (control[KILL_AT] == number) {
        if (control[TORN] && data != NULL && size > 1) {
            if (at < 0) syscall(SYS_write, fd, data, size / 2);
            else syscall(SYS_pwrite64, fd, data, size / 2, at);
        }
        syscall(SYS_kill, getpid(), SIGKILL);
        for (;;) pause();
    }
    int counts = !control[FULL] || strstr("create write mkdir link rename", action) != NULL;
    if (control[FAIL_AT] && control[FAIL_AT] <= number && number <= control[FAIL_TO] && counts) {
        failure = (int)control[ERROR];
        control[FAILURES]++;
    }
    pthread_mutex_unlock(&lock);
    return failure;
}

static int passed_over(const char *path) {
    if (unsynced == NULL || !*unsynced) return 0;
    char words[512];
    snprintf(words, sizeof words, "%s", unsynced);
    for (char *rest = NULL, *word = strtok_r(words, ":", &rest); word; word = strtok_r(NULL, ":", &rest))
        if (strstr(path, word)) return 1;
    return 0;
}

static int shadow_file(char kind, ino_t inode, char *aside, char *place) {
    snprintf(aside, PATH_MAX, "%s/%c%llu.new", shadow, kind, (unsigned long long)inode);
    snprintf(place, PATH_MAX, "%s/%c%llu", shadow, kind, (unsigned long long)inode);
    return syscall(SYS_openat, AT_FDCWD, aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
}

/* What is on disk for good now. Renamed into place, so that a kill never leaves half of it. */
static void keep(int fd) {
    struct stat status;
    char aside[PATH_MAX], place[PATH_MAX], part[1 << 16], link[40];
    if (shadow == NULL || fstat(fd, &status) != 0) return;
    pthread_mutex_lock(&lock);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int out = shadow_file(S_ISDIR(status.st_mode) ? 'd' : 'f', status.st_ino, aside, place);
    if (S_ISDIR(status.st_mode)) {
        DIR *folder = opendir(link);
        struct dirent *entry;
        while (folder != NULL && (entry = readdir(folder)) != NULL)
            if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
                dprintf(out, "%llu %d %s\n", (unsigned long long)entry->d_ino, entry->d_type == DT_DIR, entry->d_name);
        if (folder != NULL) closedir(folder);
    } else {
        int in = syscall(SYS_openat, AT_FDCWD, link, O_RDONLY | O_CLOEXEC, 0);
        ssize_t size;
        while (in >= 0 && (size = syscall(SYS_read, in, part, sizeof part)) > 0) syscall(SYS_write, out, part, size);
        if (in >= 0) syscall(SYS_close, in);
    }
    syscall(SYS_close, out);
    syscall(SYS_renameat, AT_FDCWD, aside, AT_FDCWD, place);
    pthread_mutex_unlock(&lock);
}

#define REAL(type, name, ...)                                              \
    static type (*real)(__VA_ARGS__);                                      \
    if (real == NULL) real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

#define FAIL_IF(expression)            \
    do {                               \
        int failure = (expression);    \
        if (failure) {                 \
            errno = failure;           \
            return -1;                 \
        }                              \
    } while (0)

/* Opening counts where it makes a file or empties one. */
#define OPEN(name, head, call, folder, ...)                                                             \
    int name(head const char *path, int flags, ...) {                                                   \
        REAL(int, name, __VA_ARGS__);                                                                   \
        mode_t mode = 0;                                                                                \
        if (flags & (O_CREAT | O_TMPFILE)) {                                                            \
            va_list rest;                                                                               \
            va_start(rest, flags);                                                                      \
            mode = va_arg(rest, mode_t);                                                                \
            va_end(rest);                                                                               \
        }                                                                                               \
        if (control != NULL && (flags & (O_CREAT | O_TRUNC))) {                                         \
            char full[PATH_MAX];                                                                        \
            absolute(folder, path, full);                                                               \
            if (is_ours(full) && ((flags & O_TRUNC) || syscall(SYS_faccessat, AT_FDCWD, full, F_OK) != 0)) \
                FAIL_IF(point("create", full, -1, NULL, 0, 0));                                         \
        }                                                                                               \
        return call;                                                                                    \
    }

OPEN(open, , real(path, flags, mode), AT_FDCWD, const char *, int, ...)
OPEN(open64, , real(path, flags, mode), AT_FDCWD, const char *, int, ...)
#define AT int at,
OPEN(openat, AT, real(at, path, flags, mode), at, int, const char *, int, ...)
OPEN(openat64, AT, real(at, path, flags, mode), at, int, const char *, int, ...)

ssize_t write(int fd, const void *data, size_t size) {
    char path[PATH_MAX];
    if (control != NULL && path_of(fd, path)) FAIL_IF(point("write", path, fd, data, size, -1));
    return syscall(SYS_write, fd, data, size);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    char path[PATH_MAX];
    if (control != NULL && path_of(fd, path)) FAIL_IF(point("write", path, fd, NULL, 0, -1));
    return syscall(SYS_writev, fd, parts, count);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    char path[PATH_MAX];
    if (control != NULL && path_of(fd, path)) FAIL_IF(point("write", path, fd, data, size, at));
    return syscall(SYS_pwrite64, fd, data, size, at);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) { return pwrite64(fd, data, size, at); }

int ftruncate64(int fd, off64_t size) {
    char path[PATH_MAX];
    if (control != NULL && path_of(fd, path)) FAIL_IF(point("truncate", path, -1, NULL, 0, 0));
    return syscall(SYS_ftruncate, fd, size);
}

int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

#define SYNC(name)                                                          \
    int name(int fd) {                                                      \
        char path[PATH_MAX];                                                \
        if (control == NULL || !path_of(fd, path)) return syscall(SYS_##name, fd); \
        FAIL_IF(point("sync", path, -1, NULL, 0, 0));                       \
        if (!passed_over(path)) keep(fd);                                   \
        return 0;                                                           \
    }

SYNC(fsync)
SYNC(fdatasync)

/* Calls on names. */
#define NAME(name, action, folder, path, call, types, ...)                  \
    int name types {                                                        \
        REAL(int, name, __VA_ARGS__);                                       \
        if (control != NULL) {                                              \
            char full[PATH_MAX];                                            \
            absolute(folder, path, full);                                   \
            if (is_ours(full)) FAIL_IF(point(action, full, -1, NULL, 0, 0)); \
        }                                                                   \
        return call;                                                        \
    }

NAME(unlink, "unlink", AT_FDCWD, path, real(path), (const char *path), const char *)
NAME(unlinkat, "unlink", at, path, real(at, path, flags), (int at, const char *path, int flags), int, const char *, int)
NAME(rmdir, "rmdir", AT_FDCWD, path, real(path), (const char *path), const char *)
NAME(mkdir, "mkdir", AT_FDCWD, path, real(path, mode), (const char *path, mode_t mode), const char *, mode_t)
NAME(rename, "rename", AT_FDCWD, new, real(old, new), (const char *old, const char *new), const char *, const char *)
NAME(renameat, "rename", at, new, real(from, old, at, new), (int from, const char *old, int at, const char *new), int,
     const char *, int, const char *)
NAME(link, "link", AT_FDCWD, new, real(old, new), (const char *old, const char *new), const char *, const char *)
NAME(linkat, "link", at, new, real(from, old, at, new, flags),
     (int from, const char *old, int at, const char *new, int flags), int, const char *, int, const char *, int)

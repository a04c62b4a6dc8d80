/* Preloaded into a process, makes one of its file operations under a folder fail.

   arm(folder, number, error, short_write, for_good) counts operations from 1 on; the one of that number fails
   with that error, or writes a half of what it was to write, or (for_good) fails as do all after it, as if
   the process had been killed there. disarm() returns how many there were. Written for Linux. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[PATH_MAX];
static int armed, count, number, error, short_write, for_good;

void arm(const char *where, int which, int with, int shortly, int forever) {
  snprintf(folder, sizeof folder, "%s", where);
  count = 0, number = which, error = with, short_write = shortly, for_good = forever, armed = 1;
}

int disarm(void) {
  armed = 0;
  return count;
}

static int is_in_folder(const char *path) {
  char resolved[PATH_MAX];
  if (path[0] != '/') { /* relative names are resolved against the folder that the process is in */
    if (!getcwd(resolved, sizeof resolved)) return 0;
    return strncmp(resolved, folder, strlen(folder)) == 0;
  }
  return strncmp(path, folder, strlen(folder)) == 0;
}

static int is_file_in_folder(int descriptor) {
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return is_in_folder(path);
}

static int hit(void) {
  int now = __sync_add_and_fetch(&count, 1);
  return now == number || (for_good && now > number);
}

static int fails(int concerned) {
  if (!armed || !concerned || !hit()) return 0;
  if (short_write) return 0;
  errno = error;
  return 1;
}

#define ORIGINAL(name) static __typeof__(name) *original; if (!original) original = dlsym(RTLD_NEXT, #name)
#define ON_PATH(name, parameters, path, ...) \
  int name parameters { ORIGINAL(name); return fails(is_in_folder(path)) ? -1 : original(__VA_ARGS__); }
#define ON_FILE(name, parameters, file, ...) \
  int name parameters { ORIGINAL(name); return fails(is_file_in_folder(file)) ? -1 : original(__VA_ARGS__); }
#define OPENING(name) \
  int name(const char *path, int flags, ...) { \
    va_list more; va_start(more, flags); mode_t mode = va_arg(more, mode_t); va_end(more); \
    ORIGINAL(name); return fails(is_in_folder(path)) ? -1 : original(path, flags, mode); }
#define OPENING_AT(name) \
  int name(int at, const char *path, int flags, ...) { \
    va_list more; va_start(more, flags); mode_t mode = va_arg(more, mode_t); va_end(more); \
    ORIGINAL(name); return fails(is_in_folder(path)) ? -1 : original(at, path, flags, mode); }

OPENING(open)
OPENING(open64)
OPENING_AT(openat)
OPENING_AT(openat64)
ON_PATH(mkdir, (const char *path, mode_t mode), path, path, mode)
ON_PATH(rename, (const char *old, const char *new), new, old, new)
ON_PATH(unlink, (const char *path), path, path)
ON_PATH(rmdir, (const char *path), path, path)
ON_FILE(fsync, (int file), file, file)
ON_FILE(fdatasync, (int file), file, file)
ON_FILE(ftruncate, (int file, off_t length), file, file, length)

ssize_t read(int file, void *data, size_t length) {
  ORIGINAL(read);
  return fails(is_file_in_folder(file)) ? -1 : original(file, data, length);
}

ssize_t write(int file, const void *data, size_t length) {
  ORIGINAL(write);
  if (!armed || !is_file_in_folder(file) || !hit()) return original(file, data, length);
  if (short_write) return original(file, data, length > 1 ? length / 2 : length);
  errno = error;
  return -1;
}

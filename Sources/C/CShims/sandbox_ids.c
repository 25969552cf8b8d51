// User namespaces and files that belong to their ids.
#define _GNU_SOURCE
#include "sandbox_internal.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

void write_maps(int proc, pid_t pid, const struct id_extent *extents, size_t count) {
    char text[LIST_MAX * 40], path[64];
    size_t length = 0;
    for (size_t i = 0; i < count; i++)
        length += (size_t)snprintf(text + length, sizeof text - length, "%u %u %u\n", extents[i].inside,
                                   extents[i].outside, extents[i].count);
    snprintf(path, sizeof path, "%d/uid_map", pid);
    write_file(proc, path, text);
    snprintf(path, sizeof path, "%d/gid_map", pid);
    write_file(proc, path, text);
}

// An ordinary user: one id by hand, a range through the set-user-id programs of package uidmap.
void write_maps_by_tool(pid_t pid, const struct id_extent *extents, size_t count) {
    char path[64], text[64], who[16], numbers[LIST_MAX * 3][12];
    char *arguments[LIST_MAX * 3 + 3];
    if (count == 1 && extents[0].count == 1) {
        snprintf(path, sizeof path, "/proc/%d/setgroups", pid);
        write_file(AT_FDCWD, path, "deny");
        snprintf(path, sizeof path, "/proc/%d/uid_map", pid);
        snprintf(text, sizeof text, "%u %u 1\n", extents[0].inside, (unsigned)geteuid());
        write_file(AT_FDCWD, path, text);
        snprintf(path, sizeof path, "/proc/%d/gid_map", pid);
        snprintf(text, sizeof text, "%u %u 1\n", extents[0].inside, (unsigned)getegid());
        write_file(AT_FDCWD, path, text);
        return;
    }
    snprintf(who, sizeof who, "%d", pid);
    arguments[1] = who;
    for (int group = 0; group < 2; group++) {
        size_t next = 0;
        for (size_t i = 0; i < count; i++) {
            // The first extent is the user's own id; their group's id may differ from it.
            uint32_t outside = i == 0 ? (group ? getegid() : geteuid()) : extents[i].outside;
            snprintf(numbers[next++], 12, "%u", extents[i].inside);
            snprintf(numbers[next++], 12, "%u", outside);
            snprintf(numbers[next++], 12, "%u", extents[i].count);
        }
        for (size_t i = 0; i < next; i++) arguments[i + 2] = numbers[i];
        arguments[next + 2] = NULL;
        arguments[0] = group ? "/usr/bin/newgidmap" : "/usr/bin/newuidmap";
        pid_t child = fork();
        if (child == 0) {
            char *none[] = { NULL };
            execve(arguments[0], arguments, none);
            _exit(127);
        }
        int status = 0;
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
            errno = child < 0 ? errno : EPERM;
            fail("map ids with", arguments[0]);
        }
    }
}

// A user namespace that nobody lives in: only its id map is used, by idmapped mounts.
int id_mapping_namespace(int proc, const struct id_extent *extents, size_t count) {
    int ready[2];
    char path[64], byte;
    if (pipe2(ready, O_CLOEXEC) != 0) fail("make", "a pipe");
    pid_t child = fork();
    if (child == 0) {
        if (unshare(CLONE_NEWUSER) != 0) _exit(1);
        write_all(ready[1], "r", 1);
        for (;;) pause();
    }
    if (child < 0) fail("fork", "the id map");
    close(ready[1]);
    if (read(ready[0], &byte, 1) != 1) fail("make a user namespace", "for the id map");
    close(ready[0]);
    write_maps(proc, child, extents, count);
    snprintf(path, sizeof path, "%d/ns/user", child);
    int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) fail("open", path);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    return fd;
}

// Deeper directories are moved up to the top first: what made them may have nested without end, and every level here
// costs a descriptor.
enum { REMOVAL_DEPTH = 100 };

static void remove_entries(int directory, int top, int depth, unsigned long *moved) {
    DIR *stream = fdopendir(directory);
    if (stream == NULL) fail("list", "a directory");
    struct dirent *entry;
    while ((entry = readdir(stream)) != NULL) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) continue;
        if (unlinkat(dirfd(stream), name, 0) == 0 || errno == ENOENT) continue;
        if (errno != EISDIR && errno != EPERM) fail("remove", name);
        fchmodat(dirfd(stream), name, 0700, AT_SYMLINK_NOFOLLOW);
        if (depth >= REMOVAL_DEPTH) {
            char place[64];
            snprintf(place, sizeof place, ".berth-removal-%d-%lu", getpid(), (*moved)++);
            if (renameat(dirfd(stream), name, top, place) != 0) fail("move to remove", name);
            continue;
        }
        int child = openat(dirfd(stream), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (child < 0) fail("open to remove", name);
        remove_entries(child, top, depth + 1, moved);
        if (unlinkat(dirfd(stream), name, AT_REMOVEDIR) != 0 && errno != ENOENT) fail("remove", name);
    }
    closedir(stream);
}

// Removes what is in `path`, by descriptors, never through a symbolic link; the directory itself stays.
void remove_tree(const char *path) {
    unsigned long moved = 0, before;
    do {
        before = moved;
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT) return;
        if (fd < 0) fail("open to remove", path);
        int top = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (top < 0) fail("open to remove", path);
        remove_entries(fd, top, 0, &moved);
        close(top);
    } while (moved > before);
}

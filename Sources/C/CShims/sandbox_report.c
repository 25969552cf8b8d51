#define _GNU_SOURCE
#include "sandbox_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int report_fd = STDOUT_FILENO;

void write_all(int fd, const char *text, size_t length) {
    while (length > 0) {
        ssize_t count = write(fd, text, length);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return;
        text += count;
        length -= (size_t)count;
    }
}

void fail(const char *step, const char *subject) {
    char line[1024];
    int error = errno;
    int length = snprintf(line, sizeof line, "error %d %s: %s\n", error, step, subject ? subject : "");
    if (length > (int)sizeof line - 1) length = sizeof line - 1;
    write_all(report_fd, line, (size_t)length);
    _exit(71);
}

void read_exactly(int fd, void *buffer, size_t length, const char *what) {
    char *next = buffer;
    while (length > 0) {
        ssize_t count = read(fd, next, length);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) {
            if (count == 0) errno = EPIPE;
            fail("wait for", what);
        }
        next += count;
        length -= (size_t)count;
    }
}

// One write(2): what files of /proc and of control groups expect.
void write_file(int directory, const char *path, const char *text) {
    int fd = openat(directory, path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) < 0) fail("write", path);
    close(fd);
}

// Field 22 of /proc/PID/stat, in clock ticks since boot: with the pid it names one process of this boot. 0 = gone.
unsigned long long start_time(pid_t pid) {
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t count = read(fd, text, sizeof text - 1);
    close(fd);
    if (count <= 0) return 0;
    text[count] = 0;
    char *next = strrchr(text, ')'); // the name before it may hold spaces and parentheses
    for (int field = 2; next && field < 22; field++) next = strchr(next + 1, ' ');
    return next ? strtoull(next + 1, NULL, 10) : 0;
}

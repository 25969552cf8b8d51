#define _GNU_SOURCE
#include "CSplice.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <sys/ioctl.h>

ssize_t berth_splice_to_file(int source, int target, int64_t offset, size_t length) {
    loff_t position = offset;
    ssize_t moved;
    do moved = splice(source, NULL, target, &position, length, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    while (moved < 0 && errno == EINTR);
    return moved < 0 ? -errno : moved;
}

ssize_t berth_splice_to_pipe(int source, int target, size_t length) {
    ssize_t moved;
    do moved = splice(source, NULL, target, NULL, length, SPLICE_F_NONBLOCK);
    while (moved < 0 && errno == EINTR);
    return moved < 0 ? -errno : moved;
}

int berth_bytes_waiting(int pipe) {
    int count = 0;
    return ioctl(pipe, FIONREAD, &count) < 0 ? -errno : count;
}

int berth_pipe_is_over(int pipe) {
    struct pollfd watched = {.fd = pipe, .events = POLLIN};
    if (poll(&watched, 1, 0) < 0) return 0;
    if (watched.revents & POLLIN || !(watched.revents & (POLLHUP | POLLERR))) return 0;
    // Bytes may have come after the look for bytes and before the look for writers; now none can.
    return berth_bytes_waiting(pipe) <= 0;
}

#define _GNU_SOURCE
#include "include/guest.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/reboot.h>
#include <sys/vfs.h>
#include <unistd.h>

#define EXT4_RESIZE _IOW('f', 16, unsigned long long)

int berth_random(void *bytes, size_t count) {
    unsigned char *next = bytes;
    while (count > 0) {
        ssize_t got = getrandom(next, count, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return -errno;
        next += got;
        count -= (size_t)got;
    }
    return 0;
}

int berth_add_entropy(const void *bytes, size_t count) {
    int fd = open("/dev/urandom", O_RDWR | O_CLOEXEC), result = 0;
    if (fd < 0) return -errno;
    struct rand_pool_info *pool = calloc(1, sizeof *pool + count);
    if (pool != NULL) {
        pool->entropy_count = (int)(count * 8);
        pool->buf_size = (int)count;
        memcpy(pool->buf, bytes, count);
    }
    if (pool == NULL || ioctl(fd, RNDADDENTROPY, pool) != 0 || ioctl(fd, RNDRESEEDCRNG) != 0) result = -errno;
    free(pool);
    close(fd);
    return result;
}

int berth_grow_file_system(const char *path, unsigned long long sectors) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), result = 0;
    if (fd < 0) return -errno;
    struct statfs status;
    if (fstatfs(fd, &status) != 0) {
        result = -errno;
    } else {
        unsigned long long blocks = sectors * 512 / (unsigned long long)status.f_bsize;
        if (ioctl(fd, EXT4_RESIZE, &blocks) != 0) result = -errno;
    }
    close(fd);
    return result;
}

void berth_reset_machine(void) { reboot(RB_AUTOBOOT); }

#define _GNU_SOURCE
#include "CMemory.h"

#include <errno.h>
#include <sys/mman.h>

int berth_memory_file(const char *name) {
    int file = memfd_create(name, MFD_CLOEXEC);
    return file < 0 ? -errno : file;
}

// memfd_create(2), which Swift's Glibc module leaves out (it needs _GNU_SOURCE).
#ifndef BERTH_CMEMORY_H
#define BERTH_CMEMORY_H

/// An empty anonymous file in memory, close-on-exec; or -errno. `name` shows in /proc only.
int berth_memory_file(const char *name);

#endif

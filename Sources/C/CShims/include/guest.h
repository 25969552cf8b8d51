// What the first process of a micro virtual machine asks of its kernel.
#ifndef BERTH_GUEST_H
#define BERTH_GUEST_H

#include <stddef.h>

/// Random bytes of the kernel. 0 or -errno.
int berth_random(void *bytes, size_t count);

/// Mixes `bytes` into the kernel's pool and makes it use them at once. 0 or -errno.
int berth_add_entropy(const void *bytes, size_t count);

/// Makes the ext4 file system at `path` as large as its device, `sectors` of 512 bytes. 0 or -errno.
int berth_grow_file_system(const char *path, unsigned long long sectors);

/// Resets the machine; returns only where that is refused.
void berth_reset_machine(void);

#endif

// Tells ThreadSanitizer of the half of Swift's Mutex that it cannot see.
//
// An uncontended Mutex is a compare-and-swap that the compiler puts into our code, where the sanitizer sees it. A
// contended one goes through two functions of libswiftSynchronization, where the kernel hands the lock over (a PI
// futex): the sanitizer sees neither side of that and takes what the lock protects for a race. These two stand in front
// of the library's, of the same names, and say what the lock does: who has it has seen what was done under it.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>

#include "mutex_order.h"

#define LOCK_SLOW "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK_SLOW "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

extern void __tsan_acquire(void *address);
extern void __tsan_release(void *address);

// Swift's calling convention: the method's self, the address of the lock's word, is in the context register.
typedef __attribute__((swiftcall)) void lock_slow(uint32_t thread, __attribute__((swift_context)) void *word);
typedef __attribute__((swiftcall)) void unlock_slow(__attribute__((swift_context)) void *word);

lock_slow berth_lock_slow __asm__(LOCK_SLOW);
unlock_slow berth_unlock_slow __asm__(UNLOCK_SLOW);

static void *original(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    // Another version of Swift: better no run than one that is wrong.
    if (!found) abort();
    return found;
}

__attribute__((swiftcall)) void berth_lock_slow(uint32_t thread, __attribute__((swift_context)) void *word) {
    ((lock_slow *)original(LOCK_SLOW))(thread, word);
    __tsan_acquire(word);
}

__attribute__((swiftcall)) void berth_unlock_slow(__attribute__((swift_context)) void *word) {
    __tsan_release(word);
    ((unlock_slow *)original(UNLOCK_SLOW))(word);
}

#ifndef BERTH_CHILD_H
#define BERTH_CHILD_H
#include <stdint.h>
#include <sys/resource.h>

#include "holder.h"

/// What a child writes into its error pipe when it could not become the program; nothing means that exec succeeded.
struct child_failure {
    int32_t step;
    int32_t error;
};

/// Turns this freshly forked process into what `spawn` asks for; on failure reports through `error_pipe` and ends.
_Noreturn void child_become(const struct berth_spawn *spawn, int error_pipe);

/// Closes every descriptor from `first` on.
void child_close_from(int first);

/// The holder's own limit of open files before it raised it; what children are given. Zero when it never was.
extern struct rlimit child_file_limit;

/// Default dispositions for every signal, nothing blocked.
void child_reset_signals(void);
#endif
